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

  private func fields(_ json: JSONValue) -> JSONFields<TokenizerError> {
    JSONFields(json, prefix: path.isEmpty ? "" : path + ".") { name, fault in
      switch fault {
      case .kind(_, let expected), .other(let expected): TokenizerError(file: file, problem: .invalidMember(name, expected: expected))
      }
    }
  }
  /// A member that must be there.
  private func member<Value>(_ json: JSONValue, _ name: String, _ expected: String, _ read: (JSONValue) -> Value?) throws(TokenizerError) -> Value {
    guard let value = try fields(json).optional(name, expected, read) else { throw invalid(name, expected) }
    return value
  }
  func array(_ json: JSONValue, _ name: String, at place: String? = nil) throws(TokenizerError) -> [JSONValue] {
    try (place.map { inside($0) } ?? self).member(json, name, "an array", \.array)
  }
  func string(_ json: JSONValue, _ name: String) throws(TokenizerError) -> String { try member(json, name, "a string", \.string) }
  /// A boolean that may be left out.
  func bool(_ json: JSONValue, _ name: String, default fallback: Bool) throws(TokenizerError) -> Bool { try fields(json).bool(name) ?? fallback }
  func id(_ json: JSONValue, _ name: String) throws(TokenizerError) -> Int32 {
    try member(json, name, "a token id between 0 and \(Vocabulary.maximumID - 1)") { value in
      value.int.flatMap(Int32.init(exactly:)).flatMap { $0 >= 0 && $0 < Vocabulary.maximumID ? $0 : nil }
    }
  }
}
