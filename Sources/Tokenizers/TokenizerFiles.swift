import JSON

/// The files that make a tokenizer, by name. Who reads them from where is the caller's business.
public struct TokenizerFiles: Sendable {
  /// The names that are looked for; all but `tokenizer.json` may be absent.
  public static let names = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json",
    "chat_template.jinja", "chat_template.json", "added_tokens.json",
    // Of the model's own configuration only its type, and the end tokens where generation_config.json names none.
    "config.json",
  ]
  /// Where transformers keeps named chat templates beside chat_template.jinja: NAME.jinja each.
  public static let templateDirectory = "additional_chat_templates"

  let contents: [String: [UInt8]]

  /// - Parameter contents: Each file's bytes under its name.
  public init(contents: [String: [UInt8]]) { self.contents = contents }

  /// Asks for each of ``names`` in turn.
  ///
  /// - Parameters:
  ///   - templates: The names of the files in ``templateDirectory``; of them those that end in ".jinja" are asked for, too.
  ///   - read: A file's bytes, or nil where there is no such file.
  public init<Failure: Error>(templates: [String] = [], reading read: (String) throws(Failure) -> [UInt8]?) throws(Failure) {
    var contents: [String: [UInt8]] = [:]
    for name in Self.names { contents[name] = try read(name) }
    for name in templates where name.hasSuffix(".jinja") {
      let path = "\(Self.templateDirectory)/\(name)"
      contents[path] = try read(path)
    }
    self.contents = contents
  }

  /// The parsed file, or nil where it is absent. In tokenizer.json the vocabulary is a flat array.
  func json(_ name: String) throws(TokenizerError) -> JSONValue? {
    guard var bytes = contents[name] else { return nil }
    if name == "tokenizer.json" { _ = flattenVocabulary(in: &bytes) }
    let json: JSONValue
    do { json = try JSONValue(parsing: bytes, allowsNonFinite: true) } catch {
      throw TokenizerError(file: name, problem: .invalidJSON(reason: error.description))
    }
    // Of a list or a null all members would be missing, without a word.
    guard case .object = json else { throw TokenizerError(file: name, problem: .invalidMember("the file", expected: "a JSON object")) }
    return json
  }
  func bytes(_ name: String) -> [UInt8]? { contents[name] }
}
