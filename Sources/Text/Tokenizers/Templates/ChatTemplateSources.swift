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
    let given = files.templateFiles
    notes = given.notes
    let own = given.byName.mapValues { file in
      let text = files.bytes(file).flatMap { String(validating: $0, as: UTF8.self) }
      return Source(file: file, text: text ?? "", problem: text == nil ? .invalidMember("the text", expected: "UTF-8") : nil)
    }
    let (settings, older) = ("tokenizer_config.json", "chat_template.json")
    let places = [
      own, templates(configuration?["chat_template"], settings), templates(try files.json(older)?["chat_template"], older),
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

  private mutating func templates(_ value: JSONValue?, _ file: String) -> [String: Source] {
    guard let value, !value.isNull else { return [:] }
    if let text = value.string { return ["default": Source(file: file, text: text)] }
    func source(_ value: JSONValue?, _ name: String) -> Source {
      if let text = value?.string { return Source(file: file, text: text) }
      return Source(file: file, text: value?.serialized() ?? "", problem: .invalidMember("chat_template", expected: "a text for '\(name.prefix(60))'"))
    }
    if let members = value.object {
      return members.reduce(into: [:]) { $0[$1.key] = source($1.value, $1.key) }
    }
    var found: [String: Source] = [:]
    var nameless: [String] = []
    for template in value.array ?? [value] {
      guard let name = template["name"]?.string else { nameless.append(template.serialized()); continue }
      if found.updateValue(source(template["template"], name), forKey: name) != nil {
        notes.append("\(file) has two chat templates '\(name)': the last counts, as in transformers")
      }
    }
    guard let first = nameless.first else { return found }
    if found["default"] == nil {
      let problem = TokenizerError.Problem.invalidMember(
        "chat_template", expected: "a text, an object of names and texts, or an array of objects with 'name' and 'template'")
      found["default"] = Source(file: file, text: value.serialized(), problem: problem)
    } else {
      notes.append("\(file): 'chat_template' has \(nameless.count) entries without a name, which are left out; transformers refuses them: \(first.prefix(60))")
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

extension TokenizerFiles {
  /// The files that hold a chat template each, by the template's name, and what is to be said of them.
  ///
  /// As transformers' `from_pretrained` does, which looks for chat_template.jinja under the same key as for
  /// additional_chat_templates/file.jinja: the second takes the place of the first. A default.jinja comes before both.
  var templateFiles: (byName: [String: String], notes: [String]) {
    Self.templateFiles(plain: bytes("chat_template.jinja") != nil, additional: contents.keys.filter { $0.hasPrefix(Self.templateDirectory + "/") }) { bytes($0) }
  }

  /// - Parameters:
  ///   - plain: Whether there is a chat_template.jinja.
  ///   - additional: Paths of the files in ``templateDirectory``.
  ///   - bytes: A file's content.
  public static func templateFiles<Failure: Error>(
    plain: Bool, additional: some Sequence<String>, bytes: (String) throws(Failure) -> [UInt8]?
  ) throws(Failure) -> (byName: [String: String], notes: [String]) {
    let (start, end, name) = (templateDirectory + "/", ".jinja", "chat_template.jinja")
    var byName: [String: String] = plain ? ["default": name] : [:]
    var notes: [String] = []
    let files = additional.filter { $0.hasPrefix(start) && $0.hasSuffix(end) }.sorted()
    let collision = "\(start)file\(end)"
    for file in files.filter({ $0 == collision }) + files.filter({ $0 != collision }) {
      let template = file == collision ? "default" : String(file.dropFirst(start.count).dropLast(end.count))
      if let other = byName.updateValue(file, forKey: template), try bytes(other) != bytes(file) {
        notes.append("\(other) and \(file) hold different chat templates: \(file) counts")
      } else if file == collision {
        notes.append("\(file) counts as the default chat template, as in transformers, and not under the name 'file'")
      }
    }
    return (byName, notes)
  }
}
