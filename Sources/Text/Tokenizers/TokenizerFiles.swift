public import JSON

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

  /// The parsed file, or nil where it is absent.
  func json(_ name: String) throws(TokenizerError) -> JSONValue? {
    guard let bytes = contents[name] else { return nil }
    let json: JSONValue
    do { json = try JSONValue(parsing: bytes, allowsNonFinite: true) } catch {
      throw TokenizerError(file: name, problem: .invalidJSON(reason: "\(error). \(error.remedy)"))
    }
    // Of a list or a null all members would be missing, without a word.
    guard case .object = json else { throw TokenizerError(file: name, problem: .invalidMember("the file", expected: "a JSON object")) }
    return json
  }
  func bytes(_ name: String) -> [UInt8]? { contents[name] }

  /// generation_config.json as transformers takes it: of a key that appears twice the last value counts, and a file that cannot be
  /// read counts as absent.
  ///
  /// - Returns: What it holds, and what there is to say of how it was read.
  var generation: (json: JSONValue?, note: String?) {
    guard let bytes = contents[Self.generationName] else { return (nil, nil) }
    return Self.generation(bytes)
  }
  /// What there is to say of how generation_config.json was read; nil for nothing.
  public var generationNote: String? { generation.note }
  private static let generationName = "generation_config.json"
  /// As `generation`, of the file's bytes.
  public static func generation(_ bytes: [UInt8]) -> (json: JSONValue?, note: String?) {
    func absent(_ reason: String) -> String {
      "\(generationName): \(reason). It counts as absent, as in transformers: answers end as config.json says. Download it again"
    }
    do {
      let json = try JSONValue(parsing: bytes, allowsNonFinite: true)
      return json.object == nil ? (nil, absent("holds \(json.kind), expected an object")) : (json, nil)
    } catch {
      guard case .duplicateKey = error.problem, let json = try? JSONValue(parsing: bytes, allowsNonFinite: true, takesLast: true), json.object != nil
      else { return (nil, absent("\(error)")) }
      return (json, "\(generationName): \(error): the last one counts, as in transformers")
    }
  }
}
