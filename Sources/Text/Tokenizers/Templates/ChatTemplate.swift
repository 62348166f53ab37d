public import JSON

/// A model's chat template: turns messages into the text that the model was trained on.
///
/// Templates are written in Jinja; this runs the part of Jinja that published ones use, with the settings and extra
/// functions of Hugging Face transformers. A template is untrusted, so work, depth and output are bounded; it cannot
/// read files, change what it is given, or run without end.
public struct ChatTemplate: Sendable {
  /// The template's text, Jinja.
  public let source: String
  private let statements: [TemplateStatement]

  /// - Throws: ``TemplateError`` if the source is no template, or uses a tag that chat templates have no use for.
  public init(source: String) throws(TemplateError) {
    self.source = source
    statements = try TemplateParser.statements(of: source)
  }

  /// - Parameters:
  ///   - messages: Objects with `role`, `content` and what else the model's template reads.
  ///   - tools: Tool descriptions as JSON Schema, in an array.
  ///   - addGenerationPrompt: Ends the text with the beginning of the assistant's turn.
  ///   - extra: More variables: `bos_token`, `eos_token`, and settings of the model's own such as `enable_thinking`.
  ///   - now: What `strftime_now` formats.
  ///   - budget: Bounds the time beside what is bounded anyway.
  /// - Throws: ``TemplateError`` if the template refuses the messages (`raise_exception`), uses something unknown,
  ///   or goes beyond its limits.
  public func render(
    messages: [JSONValue], tools: JSONValue? = nil, addGenerationPrompt: Bool = true, extra: [String: JSONValue] = [:],
    now: CalendarTime = .current(), budget: WorkBudget? = nil
  ) throws(TemplateError) -> String {
    try render(
      messages: messages, tools: tools, addGenerationPrompt: addGenerationPrompt, extra: extra, now: now, limits: .init(),
      budget: budget)
  }

  func render(
    messages: [JSONValue], tools: JSONValue?, addGenerationPrompt: Bool, extra: [String: JSONValue], now: CalendarTime,
    limits: TemplateRenderer.Limits, budget: WorkBudget? = nil
  ) throws(TemplateError) -> String {
    // transformers always passes these, none where the caller gave none.
    var variables: [String: TemplateValue] = ["documents": .none]
    for (name, value) in extra { variables[name] = TemplateValue(value) }
    variables["messages"] = .list(messages.map(TemplateValue.init))
    variables["tools"] = tools.map(TemplateValue.init) ?? TemplateValue.none
    variables["add_generation_prompt"] = .bool(addGenerationPrompt)
    return try TemplateRenderer(limits: limits, now: now, budget: budget).render(statements, variables)
  }
}

extension Tokenizer {
  /// The names of the model's chat templates; most models have one, `default`.
  public var chatTemplateNames: [String] { chatTemplates.keys.sorted() }

  /// - Throws: ``TokenizerError`` if there is no template of that name, or it cannot be read.
  public func chatTemplate(named name: String = "default") throws(TokenizerError) -> ChatTemplate {
    guard let template = chatTemplates[name] else {
      throw TokenizerError(file: "tokenizer_config.json", problem: .noChatTemplate(available: chatTemplateNames))
    }
    return try template.get()
  }

  /// The text for `messages` by the model's chat template. Encode it with `addSpecialTokens: false`.
  ///
  /// - Parameter name: Which template; with tools, `tool_use` is taken where the model has one.
  /// - Throws: ``TokenizerError`` if the model has no such template, ``TemplateError`` if it does not take the messages.
  public func applyChatTemplate(
    messages: [JSONValue], tools: JSONValue? = nil, addGenerationPrompt: Bool = true, extra: [String: JSONValue] = [:],
    name: String? = nil, budget: WorkBudget? = nil
  ) throws -> String {
    let wanted = name ?? (tools != nil && chatTemplates["tool_use"] != nil ? "tool_use" : "default")
    let template = try chatTemplate(named: wanted)
    var variables: [String: JSONValue] = [:]
    for (name, token) in specialTokens.byName { variables[name] = .string(token) }
    variables.merge(extra) { $1 }
    return try template.render(
      messages: messages, tools: tools, addGenerationPrompt: addGenerationPrompt, extra: variables, budget: budget)
  }
}
