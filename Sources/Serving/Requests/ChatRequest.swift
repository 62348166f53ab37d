import JSON

/// The body of `POST /v1/chat/completions`.
struct ChatRequest: Sendable {
  var model: String
  var conversation: Conversation
  /// Given instead of what the template would make.
  var promptIDs: [Int32]?
  /// Continues the last message instead of answering it.
  var continuesLast: Bool
  /// Continues the last message, which is the assistant's, and starts the answer with it.
  var echo: Bool
  var addsSpecialTokens: Bool
  var sampling: SamplingFields
  var unknownFields: [String]
}

extension ChatRequest {
  /// What the reply needs: the messages may take hundreds of times the memory of their text.
  var withoutPrompt: ChatRequest {
    var rest = self
    rest.conversation = Conversation(messages: echo ? [["content": conversation.messages.last?["content"] ?? ""]] : [])
    rest.promptIDs = nil
    return rest
  }

  init(_ body: JSONObject, limits: RequestLimits) throws(APIError) {
    let reader = FieldReader(try FieldRegister.withServedNames(body))
    guard let model = try reader.string("model") else { throw reader.missing("model", "The field 'model' is missing.") }
    self.model = model
    conversation = try Conversation(reader, trustsTemplates: limits.trustsTemplates)
    promptIDs = try reader.tokens("prompt_token_ids", vocabularySize: limits.engine.vocabularySize)
    if let promptIDs, promptIDs.isEmpty {
      throw .invalid("prompt_token_ids", "prompt_token_ids is []; it must hold at least one token id.")
    }
    echo = try reader.bool("echo")
    if echo, conversation.messages.last?["role"] != "assistant" {
      throw .invalid(
        "echo",
        "echo is true, which continues the assistant's last message, but the last message is not the assistant's. "
          + "End messages with the beginning of the answer, or leave echo out.")
    }
    continuesLast = try reader.bool("continue_final_message") || echo
    if continuesLast, !echo, try reader.bool("add_generation_prompt") {
      throw .invalid("continue_final_message", "continue_final_message and add_generation_prompt are both true; the last message is continued or answered.")
    }
    if continuesLast, !echo, promptIDs != nil {
      throw .invalid("continue_final_message", "continue_final_message is true, but prompt_token_ids stand in the place of the messages; leave one of them out.")
    }
    addsSpecialTokens = try reader.bool("add_special_tokens")
    sampling = try SamplingFields(reader, limits: limits)
    sampling.maximumTokens = try reader.tokenCount("max_completion_tokens", from: 1)
    let older = try reader.tokenCount("max_tokens", from: 1)
    sampling.maximumTokens = sampling.maximumTokens ?? older
    if let best = reader.value("best_of"), best.int != sampling.choiceCount {
      throw .unsupported(
        "best_of", "best_of is \(FieldReader.show(best)) and n is \(sampling.choiceCount), but chat answers are not compared; use n.")
    }
    try Self.logProbabilities(reader, &sampling)
    try Self.refuseTools(reader)
    // A hint for models that reason; harmless where the model does not.
    if let effort = try reader.string("reasoning_effort"), !["none", "minimal", "low", "medium", "high", "xhigh"].contains(effort) {
      throw reader.wrong("reasoning_effort", .string(effort), allowed: "\"low\", \"medium\" or \"high\"")
    }
    _ = reader.value("cache_salt")
    unknownFields = try FieldRegister.check(reader, sampling.parameters)
  }

  private static func logProbabilities(_ reader: FieldReader, _ sampling: inout SamplingFields) throws(APIError) {
    let wanted = try reader.bool("logprobs")
    let count = try reader.integer("top_logprobs", in: 0...RequestLimits.maximumAlternatives)
    if let count, count > 0, !wanted {
      throw .invalid("top_logprobs", "top_logprobs is \(count), which is only allowed with \"logprobs\": true.")
    }
    sampling.parameters.logProbabilities = wanted ? count ?? 0 : nil
  }

  private static func refuseTools(_ reader: FieldReader) throws(APIError) {
    let noTools: JSONValue = []
    let choice = reader.value("tool_choice")
    if let tools = reader.value("tools"), tools != noTools, choice != "none" {
      throw .unsupported("tools", "tools is set, but tool calls are not supported yet; leave it out.")
    }
    if let choice, choice != "none", choice != "auto" {
      throw .unsupported("tool_choice", "tool_choice is \(FieldReader.show(choice)), but tool calls are not supported yet.")
    }
    try reader.refuse("functions", unless: noTools, because: "tool calls are not supported yet")
  }
}

extension Conversation {
  /// Reads messages and what goes with them; the fields are those of upstream's chat endpoint.
  init(_ reader: FieldReader, trustsTemplates: Bool) throws(APIError) {
    guard let value = reader.value("messages") else {
      throw reader.missing("messages", "The field 'messages' is missing; it must be an array of messages.")
    }
    guard let elements = value.array, !elements.isEmpty else {
      throw reader.wrong("messages", value, allowed: "an array of at least one message")
    }
    self.init(messages: [])
    for (index, element) in elements.enumerated() {
      messages.append(try Self.message(element, at: "messages[\(index)]"))
    }
    addGenerationPrompt = try reader.bool("add_generation_prompt", default: true)
    template = try reader.string("chat_template")
    if let template {
      // A program of the client's: upstream refuses it, too, unless it is started with a flag.
      guard trustsTemplates else {
        throw .unsupported(
          "chat_template", "chat_template is set, but this server runs no templates of its clients; it does where it is started with --trust_request_chat_template.")
      }
      guard template.utf8.count <= RequestLimits.maximumTemplateBytes else {
        throw .invalid(
          "chat_template", "chat_template has \(template.utf8.count) bytes; at most \(RequestLimits.maximumTemplateBytes) are allowed.")
      }
    }
    if let more = try reader.object("chat_template_kwargs") {
      for name in ["messages", "tools", "add_generation_prompt"] where more[name] != nil {
        throw .invalid("chat_template_kwargs", "chat_template_kwargs holds '\(name)', which is set by the request itself.")
      }
      extra = more
    }
    if let documents = reader.value("documents") {
      guard documents.array != nil else { throw reader.wrong("documents", documents, allowed: "an array") }
      extra["documents"] = documents
    }
  }

  /// A message as templates expect it: content is one string; a role of any name, and more keys, pass through.
  private static func message(_ value: JSONValue, at path: String) throws(APIError) -> JSONValue {
    guard var members = value.object else {
      throw .invalid(path, "\(path) is \(FieldReader.show(value)); it must be an object with role and content.")
    }
    guard let role = members["role"]?.string, !role.isEmpty else {
      throw .invalid("\(path).role", "\(path).role is missing or no string; it must be \"system\", \"user\", \"assistant\" or another role that the template knows.")
    }
    guard role.utf8.count <= 256 else {
      throw .invalid("\(path).role", "\(path).role has \(role.utf8.count) bytes; at most 256 are allowed.")
    }
    switch members["content"] {
    case .string: break
    case .array(let parts): members["content"] = .string(try text(parts, at: "\(path).content"))
    case nil, .null:
      // An assistant's message may consist of tool calls alone.
      guard role == "assistant" else {
        throw .invalid("\(path).content", "\(path).content is missing; it must be a string or an array of text parts.")
      }
      members["content"] = ""
    case .some(let other):
      throw .invalid(
        "\(path).content", "\(path).content is \(FieldReader.show(other)); it must be a string or an array of text parts.")
    }
    return .object(members)
  }

  private static func text(_ parts: [JSONValue], at path: String) throws(APIError) -> String {
    var texts: [String] = []
    for (index, part) in parts.enumerated() {
      let place = "\(path)[\(index)]"
      if let plain = part.string {
        texts.append(plain)
        continue
      }
      guard let type = part["type"]?.string else {
        throw .invalid(place, "\(place) is \(FieldReader.show(part)); it must be an object {\"type\": \"text\", \"text\": …}.")
      }
      guard type == "text" else {
        throw .unsupported("\(place).type", "\(place).type is \"\(type)\"; this model reads only \"text\" parts.")
      }
      guard let text = part["text"]?.string else {
        throw .invalid("\(place).text", "\(place).text is missing or no string.")
      }
      texts.append(text)
    }
    return texts.joined(separator: "\n")
  }
}
