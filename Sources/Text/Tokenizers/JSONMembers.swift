import JSON

/// Reads members of a JSON file with errors that name the file and the member's place in it.
struct JSONMembers {
  var file: String
  var path: String = ""

  func inside(_ path: String) -> JSONMembers { JSONMembers(file: file, path: path) }

  func place(_ name: String) -> String { path.isEmpty ? name : path + "." + name }

  func invalid(_ name: String, _ expected: String) -> TokenizerError {
    TokenizerError(file: file, problem: .invalidMember(place(name), expected: expected))
  }
  func unsupported(_ what: String, _ value: String, _ supported: String) -> TokenizerError {
    let shown = String(value.prefix(101).flatMap { $0.isNewline ? "\\n" : String($0) })
    let value = shown.count > 100 ? shown.prefix(100) + "…" : shown
    return TokenizerError(
      file: file, problem: .unsupported(what, value: "'\(value)'", supported: supported))
  }
  func inconsistent(_ what: String) -> TokenizerError { TokenizerError(file: file, problem: .inconsistent(what)) }

  func array(_ json: JSONValue, _ name: String, at place: String? = nil) throws(TokenizerError) -> [JSONValue] {
    guard let value = json[name]?.array else {
      throw place.map { inside($0) }?.invalid(name, "an array") ?? invalid(name, "an array")
    }
    return value
  }
  func string(_ json: JSONValue, _ name: String) throws(TokenizerError) -> String {
    guard let value = json[name]?.string else { throw invalid(name, "a string") }
    return value
  }
  /// A boolean that may be left out.
  func bool(_ json: JSONValue, _ name: String, default fallback: Bool) throws(TokenizerError) -> Bool {
    guard let value = json[name], !value.isNull else { return fallback }
    guard let bool = value.bool else { throw invalid(name, "true or false") }
    return bool
  }
  func id(_ json: JSONValue, _ name: String) throws(TokenizerError) -> Int32 {
    guard let value = json[name]?.int, let id = Int32(exactly: value), id >= 0, id < Vocabulary.maximumID else {
      throw invalid(name, "a token id between 0 and \(Vocabulary.maximumID - 1)")
    }
    return id
  }
}
