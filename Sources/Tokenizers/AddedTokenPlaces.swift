import JSON

/// Added tokens from all the files that name some, by the rules of transformers 5.
///
/// tokenizer.json gives tokens and ids. tokenizer_config.json (`added_tokens_decoder`), or where that lists none,
/// special_tokens_map.json and added_tokens.json, change how a token is looked for, and add what is missing: under the
/// token's own id where the vocabulary has it, otherwise under the next free one, whatever id they write beside it.
struct AddedTokenPlaces {
  private(set) var tokens: [AddedToken]
  /// What the files disagree on, a line each.
  private(set) var notes: [String] = []
  /// Tokens for which the model has no row: they are left out.
  private(set) var outside: [String] = []
  /// Of a token's bytes in `tokens`.
  private var indices: [[UInt8]: Int] = [:]

  /// - Parameter limit: The model's vocabulary; nil where it is not known.
  init(
    own: [AddedToken], vocabulary: Vocabulary, files: TokenizerFiles, configuration: JSONValue?, map: JSONValue?, special: SpecialTokens,
    limit: Int?
  ) throws(TokenizerError) {
    tokens = own
    var wanted: [(token: AddedToken, place: String)] = []
    if let listed = configuration?["added_tokens_decoder"]?.object {
      let file = "tokenizer_config.json"
      let reader = JSONMembers(file: file, path: "added_tokens_decoder")
      for (key, value) in listed {
        guard let id = Int32(key) else { throw reader.invalid(key, "a token id") }
        var token = value
        if case .object(var members) = value { members["id"] = .int(Int(id)); token = .object(members) }
        wanted.append((try AddedToken(token, reader: reader.inside("added_tokens_decoder.\(key)")), file))
      }
      wanted.sort { $0.token.id < $1.token.id }
    } else if let legacy = try files.json("added_tokens.json")?.object {
      let names = Set(special.byName.values)
      let ownIDs = Set(own.map(\.id))
      for (content, value) in legacy {
        guard let id = value.int.flatMap(Int32.init(exactly:)) else {
          throw JSONMembers(file: "added_tokens.json").invalid(content, "a token id")
        }
        guard !ownIDs.contains(id) else { continue }  // tokenizer.json's token of that id counts
        let isSpecial = names.contains(content)
        wanted.append((AddedToken(content: content, id: id, isSpecial: isSpecial, normalized: !isSpecial), "added_tokens.json"))
      }
      wanted.sort { $0.token.id < $1.token.id }
    }
    // By their bytes: a `String` would hold two spellings of one character equal.
    for (index, token) in own.enumerated() { indices[Array(token.content.utf8)] = index }
    wanted = wanted.filter { entry in
      indices[Array(entry.token.content.utf8)].map { !own[$0].hasSameRules(as: entry.token) } ?? true
    }
    var known = Set((own + wanted.map(\.token)).map { Array($0.content.utf8) })
    // A configuration that lists its tokens is complete.
    let isComplete = configuration?["added_tokens_decoder"] != nil
    let extra = Self.extra(configuration)
    for (name, content) in Self.inOrder(special.byName) + (extra.isEmpty && !isComplete ? Self.extra(map) : extra) where known.insert(Array(content.utf8)).inserted {
      wanted.append((AddedToken(content: content, id: -1, isSpecial: true), name))
    }
    let roles = Set(special.byName.values)
    add(wanted, vocabulary, roles, limit)
    // Whatever tokenizer.json calls it: a token with a role is special.
    for index in tokens.indices where roles.contains(tokens[index].content) { tokens[index].isSpecial = true }
  }

  /// In the order in which new ones get their ids.
  private static func inOrder(_ roles: [String: String]) -> [(String, String)] {
    let first = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]
    let others = roles.keys.filter { !first.contains($0) }.sorted()
    return (first + others).compactMap { name in roles[name].map { (name, $0) } }
  }

  /// `extra_special_tokens`, and as it was called before, `additional_special_tokens`: a list, or an object of roles.
  private static func extra(_ configuration: JSONValue?) -> [(String, String)] {
    for key in ["extra_special_tokens", "additional_special_tokens"] {
      guard let value = configuration?[key] else { continue }
      let tokens = value.array ?? value.object.map { Array($0.values) } ?? []
      let contents = tokens.compactMap { $0.string ?? $0["content"]?.string }
      if !contents.isEmpty { return contents.map { (key, $0) } }
    }
    return []
  }

  private mutating func add(
    _ wanted: [(token: AddedToken, place: String)], _ vocabulary: Vocabulary, _ roles: Set<String>, _ limit: Int?
  ) {
    var highest = tokens.map(\.id).max() ?? -1
    for (wish, place) in wanted where !wish.content.isEmpty {
      var token = wish
      let written = wish.id
      let key = Array(token.content.utf8)
      let index = indices[key]
      let found = index.map { tokens[$0].id } ?? vocabulary.id(of: key[...])
      token.id = found ?? max(Int32(vocabulary.count), highest + 1)
      if roles.contains(token.content) { token.isSpecial = true }
      if written >= 0, written != token.id, notes.count < 20 {
        notes.append(
          "\(place) gives '\(token.content)' the id \(written); "
            + "\(found == nil ? "it gets the next free one" : "tokenizer.json's counts"), \(token.id)")
      }
      if found == nil, token.id >= Vocabulary.maximumID || limit.map({ Int(token.id) >= $0 }) ?? false {
        outside.append(token.content)
        continue
      }
      highest = max(highest, token.id)
      if let index {
        // Once special, always special: adding it again does not take that back.
        if tokens[index].isSpecial { token.isSpecial = true }
        tokens[index] = token
      } else {
        indices[key] = tokens.count
        tokens.append(token)
      }
    }
  }
}

extension AddedToken {
  /// Whether both are looked for in the same way; ids do not count.
  func hasSameRules(as other: AddedToken) -> Bool {
    var other = other
    other.id = id
    return self == other
  }
}
