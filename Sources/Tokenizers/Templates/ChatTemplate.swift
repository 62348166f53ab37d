public import JSON

/// A model's chat template: turns messages into the text that the model was trained on.
///
/// Templates are written in Jinja; this runs the part of Jinja that published ones use, with the settings and extra
/// functions of Hugging Face transformers. A template is untrusted, so work, depth and output are bounded; it cannot
/// read files, change what it is given, or run without end.
public struct ChatTemplate: Sendable {
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

extension ChatTemplate {
  /// All of a model's templates by name; one that cannot be read does not keep the others, nor the tokenizer, from use.
  /// A file of its own wins over tokenizer_config.json, as in transformers.
  static func all(in files: TokenizerFiles, configuration: JSONValue?) throws(TokenizerError) -> [String: Result<ChatTemplate, TokenizerError>] {
    var sources: [(name: String, file: String, source: String)] = []
    switch configuration?["chat_template"] {
    case .string(let source)?: sources = [("default", "tokenizer_config.json", source)]
    case .array(let templates)?:
      for template in templates {
        guard let name = template["name"]?.string, let source = template["template"]?.string else {
          throw TokenizerError(
            file: "tokenizer_config.json",
            problem: .invalidMember("chat_template", expected: "a text, or an array of objects with 'name' and 'template'"))
        }
        sources.append((name, "tokenizer_config.json", source))
      }
    default: break
    }
    if let json = try files.json("chat_template.json"), let source = json["chat_template"]?.string {
      sources.append(("default", "chat_template.json", source))
    }
    if let bytes = files.bytes("chat_template.jinja") {
      guard let source = String(validating: bytes, as: UTF8.self) else {
        throw TokenizerError(file: "chat_template.jinja", problem: .invalidMember("the text", expected: "UTF-8"))
      }
      sources.append(("default", "chat_template.jinja", source))
    }
    var templates: [String: Result<ChatTemplate, TokenizerError>] = [:]
    for (name, file, source) in sources {
      do { templates[name] = .success(try ChatTemplate(source: source)) } catch {
        templates[name] = .failure(TokenizerError(file: file, problem: .invalidTemplate(error)))
      }
    }
    return templates
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
