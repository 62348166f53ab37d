import JSON

/// A model's chat templates by name, before anything is parsed.
///
/// As in transformers, a file of its own takes the place of all that tokenizer_config.json holds: chat_template.jinja, else
/// the older chat_template.json.
struct ChatTemplateSources: Equatable {
  struct Source: Equatable {
    let file: String
    let text: String
  }
  private(set) var byName: [String: Source] = [:]
  private(set) var notes: [String] = []

  init(files: TokenizerFiles, configuration: JSONValue?) throws(TokenizerError) {
    var places: [[String: Source]] = []
    if let bytes = files.bytes("chat_template.jinja") {
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw TokenizerError(file: "chat_template.jinja", problem: .invalidMember("the text", expected: "UTF-8"))
      }
      places.append(["default": Source(file: "chat_template.jinja", text: text)])
    }
    for (file, value) in [
      ("chat_template.json", try files.json("chat_template.json")?["chat_template"]),
      ("tokenizer_config.json", configuration?["chat_template"]),
    ] {
      let found = try Self.templates(value, file)
      if !found.isEmpty { places.append(found) }
    }
    byName = places.first ?? [:]
    for other in places.dropFirst() {
      guard let first = byName["default"], let second = other["default"], first.text != second.text else { continue }
      notes.append("\(first.file) and \(second.file) hold different chat templates: \(first.file) counts")
    }
  }

  private static func templates(_ value: JSONValue?, _ file: String) throws(TokenizerError) -> [String: Source] {
    switch value {
    case .string(let text)?: return ["default": Source(file: file, text: text)]
    case .object(let members)? where file == "chat_template.json":
      return members.compactMapValues(\.string).reduce(into: [:]) { $0[$1.key] = Source(file: file, text: $1.value) }
    case .array(let templates)?:
      var found: [String: Source] = [:]
      for template in templates {
        guard let name = template["name"]?.string, let text = template["template"]?.string else {
          throw TokenizerError(
            file: file,
            problem: .invalidMember("chat_template", expected: "a text, or an array of objects with 'name' and 'template'"))
        }
        found[name] = Source(file: file, text: text)
      }
      return found
    default: return [:]
    }
  }

  /// One that cannot be read does not keep the others, nor the tokenizer, from use.
  func parsed() -> [String: Result<ChatTemplate, TokenizerError>] {
    byName.mapValues { source in
      do throws(TemplateError) { return .success(try ChatTemplate(source: source.text)) } catch {
        return .failure(TokenizerError(file: source.file, problem: .invalidTemplate(error)))
      }
    }
  }
}
