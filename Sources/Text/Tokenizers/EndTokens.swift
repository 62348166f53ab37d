import JSON

/// Which tokens end a generated text: what the first of generation_config.json, config.json and tokenizer_config.json says
/// that names any, as in transformers' `generate()`.
struct EndTokens {
  private(set) var ids: Set<Int32> = []
  private(set) var notes: [String] = []
  private(set) var remarks: [String] = []

  /// - Parameter roleID: The id of tokenizer_config.json's `eos_token`.
  init(files: TokenizerFiles, roleID: Int32?) throws(TokenizerError) {
    var places: [(file: String, ids: [Int32])] = []
    for file in ["generation_config.json", "config.json"] {
      let json = file == "generation_config.json" ? files.generation.json : try files.json(file)
      let member = json?["eos_token_id"]
      guard Self.areIDs(member) else {
        throw TokenizerError(file: file, problem: .invalidMember("eos_token_id", expected: "a token id, or an array of them"))
      }
      let found = Self.ids(member)
      if !found.isEmpty { places.append((file, found)) }
    }
    if let roleID { places.append(("tokenizer_config.json", [roleID])) }
    guard let first = places.first else { return }
    if roleID != nil, places.count == 1 {
      remarks.append("answers end at \(first.ids[0]) by eos_token of tokenizer_config.json alone: transformers' generate() would go on, as no eos_token_id is given")
    }
    ids = Set(first.ids)
    for other in places.dropFirst() where !ids.isSuperset(of: other.ids) {
      func list(_ ids: [Int32]) -> String { ids.prefix(10).map(String.init).joined(separator: ", ") + Self.rest(ids.count) }
      notes.append(
        "answers end at \(list(first.ids)) by \(first.file), at \(list(other.ids)) by \(other.file): \(first.file) counts, as in transformers")
      break
    }
  }

  /// How many of so many ids a list of ten leaves out.
  static func rest(_ count: Int) -> String { count > 10 ? " and \(count - 10) more" : "" }

  /// Whether a member is what ids may be, none among them.
  private static func areIDs(_ value: JSONValue?) -> Bool {
    guard let value, !value.isNull else { return true }
    return (value.array ?? [value]).allSatisfy { $0.int.flatMap(Int32.init(exactly:)) != nil }
  }

  /// One id or several. A negative one ends nothing.
  static func ids(_ value: JSONValue?) -> [Int32] {
    (value?.array ?? value.map { [$0] } ?? []).compactMap { $0.int.flatMap(Int32.init(exactly:)) }.filter { $0 >= 0 }
  }
}
