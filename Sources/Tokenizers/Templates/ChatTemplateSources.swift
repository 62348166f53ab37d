import JSON

/// A model's chat templates by name, before anything is parsed.
///
/// As in transformers 5, files of their own (chat_template.jinja, and the named ones of additional_chat_templates) take the
/// place of all that tokenizer_config.json holds. Where there is nothing else, chat_template.json counts, in which older
/// processors keep theirs.
struct ChatTemplateSources: Equatable {
  struct Source: Equatable {
    let file: String
    /// As written, where it is no text.
    let text: String
    var problem: TokenizerError.Problem? = nil
  }
  private(set) var byName: [String: Source] = [:]
  private(set) var notes: [String] = []

  init(files: TokenizerFiles, configuration: JSONValue?) throws(TokenizerError) {
    var own: [String: Source] = [:]
    let plain = "chat_template.jinja"
    for (name, file) in (files.bytes(plain) == nil ? [] : [("default", plain)]) + files.additionalTemplates {
      guard let text = files.bytes(file).flatMap({ String(validating: $0, as: UTF8.self) }) else {
        throw TokenizerError(file: file, problem: .invalidMember("the text", expected: "UTF-8"))
      }
      own[name] = Source(file: file, text: text)
    }
    let (settings, older) = ("tokenizer_config.json", "chat_template.json")
    let places = [
      own, Self.templates(configuration?["chat_template"], settings), Self.templates(try files.json(older)?["chat_template"], older),
    ].filter { !$0.isEmpty }
    byName = places.first ?? [:]
    for other in places.dropFirst() {
      let different = other.keys.filter { byName[$0]?.text != other[$0]?.text }.sorted()
      guard let name = different.first, let second = other[name] else { continue }
      guard let first = byName[name] else {
        let file = byName.values.map(\.file).min() ?? ""
        notes.append("\(second.file) has chat templates that count no more beside \(file): \(different.quoted)")
        continue
      }
      notes.append("\(first.file) and \(second.file) hold different chat templates: \(first.file) counts")
    }
    if byName.values.first?.file == older {
      notes.append("the only chat template is in chat_template.json: it counts here, while the tokenizers of transformers 5 do not read that file")
    }
  }

  private static func templates(_ value: JSONValue?, _ file: String) -> [String: Source] {
    guard let value, !value.isNull else { return [:] }
    if let text = value.string { return ["default": Source(file: file, text: text)] }
    if let members = value.object, members.values.allSatisfy({ $0.string != nil }) {
      return members.reduce(into: [:]) { $0[$1.key] = Source(file: file, text: $1.value.string ?? "") }
    }
    var found: [String: Source] = [:]
    for template in value.array ?? [.null] {
      guard let name = template["name"]?.string, let text = template["template"]?.string else {
        let problem = TokenizerError.Problem.invalidMember(
          "chat_template", expected: "a text, an object of names and texts, or an array of objects with 'name' and 'template'")
        return ["default": Source(file: file, text: value.serialized(), problem: problem)]
      }
      found[name] = Source(file: file, text: text)
    }
    return found
  }

  /// One that cannot be read does not keep the others, nor the tokenizer, from use.
  func parsed() -> [String: Result<ChatTemplate, TokenizerError>] {
    byName.mapValues { source in
      if let problem = source.problem { return .failure(TokenizerError(file: source.file, problem: problem)) }
      do throws(TemplateError) { return .success(try ChatTemplate(source: source.text)) } catch {
        return .failure(TokenizerError(file: source.file, problem: .invalidTemplate(error)))
      }
    }
  }
}
