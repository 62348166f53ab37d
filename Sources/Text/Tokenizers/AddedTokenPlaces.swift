import JSON

/// Added tokens from all the files that name some, by the rules of transformers 5.
///
/// tokenizer.json gives tokens. tokenizer_config.json (`added_tokens_decoder`), or where that lists none,
/// special_tokens_map.json and added_tokens.json, change how a token is looked for, and add what is missing. Whichever file
/// names it: a token has the id of the vocabulary, or where that lacks it the next free one, whatever id is written beside it.
struct AddedTokenPlaces {
  private(set) var tokens: [AddedToken] = []
  /// What the files disagree on, a line each.
  private(set) var notes: [String] = []
  /// Tokens for which the model has no row: they are left out.
  private(set) var outside: [String] = []
  /// Of a token's bytes in `tokens`.
  private var indices: [[UInt8]: Int] = [:]
  /// Tokens that are written with another id than theirs, and those of them that are reported.
  private var moved: Set<String> = []
  private static let toldMoves = 10

  private static let ownFile = "tokenizer.json"
  private typealias Wish = (token: AddedToken, place: String)

  /// - Parameters:
  ///   - own: Those of tokenizer.json, in its order.
  ///   - isRebuilt: A class makes the tokenizer anew. It adds the tokens of tokenizer_config.json, or where that lists none those
  ///     of tokenizer.json and added_tokens.json, in the order of the ids that they are written with.
  ///   - named: Those with roles and further ones, which are added after them. Tokens that other files have in full take the place of
  ///     texts there.
  init(
    own: [AddedToken], isRebuilt: Bool, vocabulary: Vocabulary, files: TokenizerFiles, configuration: JSONValue?, named: NamedTokens, limit: Int?
  ) throws(TokenizerError) {
    let ownContents = Set(own.map { Array($0.content.utf8) })
    var named = named
    var wanted: [Wish] = []
    if let listed = configuration?["added_tokens_decoder"]?.object {
      wanted = try Self.listed(listed)
      named.resolve(Self.byContent(wanted))
    } else {
      let (legacy, dropped) = try legacyTokens(files, own, named.special)
      // Of two with one id the last.
      let last = Dictionary(own.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
      wanted = legacy + last.values.map { ($0, Self.ownFile) }
      named.resolve(Self.byContent(dropped + wanted))
      wanted.sort { $0.token.id < $1.token.id }
    }
    let roles = Set(named.roles.map { Array($0.value.content.utf8) })
    for index in wanted.indices where roles.contains(Array(wanted[index].token.content.utf8)) { wanted[index].token.isSpecial = true }
    if !isRebuilt { add(own.map { ($0, Self.ownFile) }, vocabulary, ownContents, limit) }
    let known = Set((tokens + wanted.map(\.token)).map { Array($0.content.utf8) })
    // Those that say the same add nothing, but may be written with another id.
    for wish in wanted {
      guard let index = indices[Array(wish.token.content.utf8)], tokens[index].hasSameRules(as: wish.token) else { continue }
      note(wish, id: tokens[index].id, isKnown: true)
    }
    wanted = wanted.filter { wish in
      indices[Array(wish.token.content.utf8)].map { !tokens[$0].hasSameRules(as: wish.token) } ?? true
    }
    var added: Set<NamedTokens.Value> = []
    for (name, value) in named.roles + named.extra.map({ ("extra_special_tokens", $0) })
    where !known.contains(Array(value.content.utf8)) && added.insert(value).inserted {
      var token = value.token
      if roles.contains(Array(token.content.utf8)) { token.isSpecial = true }
      wanted.append((token, name))
    }
    add(wanted, vocabulary, ownContents, limit)
    if moved.count > Self.toldMoves { notes.append("\(moved.count - Self.toldMoves) more added tokens are written with other ids than they have") }
  }

  private static func byContent(_ wanted: [Wish]) -> [[UInt8]: AddedToken] {
    Dictionary(wanted.map { (Array($0.token.content.utf8), $0.token) }, uniquingKeysWith: { $1 })
  }

  /// Those of `added_tokens_decoder`, in order of their ids.
  private static func listed(_ listed: JSONObject) throws(TokenizerError) -> [Wish] {
    let file = "tokenizer_config.json"
    let reader = JSONMembers(file: file, path: "added_tokens_decoder")
    var wanted: [Wish] = []
    for (key, value) in listed {
      guard let id = Int32(key) else { throw reader.invalid(key, "a token id") }
      var token = value
      if case .object(var members) = value { members["id"] = .int(Int(id)); token = .object(members) }
      wanted.append((try AddedToken(token, reader: reader.inside("added_tokens_decoder.\(key)")), file))
    }
    return wanted.sorted { $0.token.id < $1.token.id }
  }

  /// Those of added_tokens.json, in order of their ids, and those whose ids tokenizer.json gives to others.
  private mutating func legacyTokens(
    _ files: TokenizerFiles, _ own: [AddedToken], _ special: Set<[UInt8]>
  ) throws(TokenizerError) -> (wanted: [Wish], dropped: [Wish]) {
    let file = "added_tokens.json"
    let ownByID = Dictionary(own.map { ($0.id, $0.content) }, uniquingKeysWith: { $1 })
    var wanted: [Wish] = []
    var dropped: [Wish] = []
    var places: [Int32: Int] = [:]
    for (content, value) in try files.json(file)?.object ?? [:] {
      guard let id = value.int.flatMap(Int32.init(exactly:)) else { throw JSONMembers(file: file).invalid(content, "a token id") }
      let isSpecial = special.contains(Array(content.utf8))
      let wish: Wish = (AddedToken(content: content, id: id, isSpecial: isSpecial, normalized: !isSpecial), file)
      // tokenizer.json's token of that id counts, and of two here the last.
      guard let other = ownByID[id] else {
        if let index = places[id] { dropped.append(wanted[index]); wanted[index] = wish } else { places[id] = wanted.count; wanted.append(wish) }
        continue
      }
      dropped.append(wish)
      if !other.utf8.elementsEqual(content.utf8), notes.count < Self.toldMoves {
        notes.append("\(file) gives '\(content)' the id \(id), which is that of '\(other)' in \(Self.ownFile): it is left out, as in transformers")
      }
    }
    return (wanted, dropped)
  }

  private mutating func add(_ wanted: [Wish], _ vocabulary: Vocabulary, _ own: Set<[UInt8]>, _ limit: Int?) {
    var highest = tokens.map(\.id).max() ?? -1
    for wish in wanted where !wish.token.content.isEmpty {
      var token = wish.token
      let key = Array(token.content.utf8)
      let index = indices[key]
      let found = index.map { tokens[$0].id } ?? vocabulary.id(of: key[...])
      token.id = found ?? max(Int32(vocabulary.count), highest + 1)
      // tokenizer.json's own are reported as a tokenizer that is larger than the model.
      if found == nil, token.id >= Vocabulary.maximumID || !own.contains(key) && limit.map({ Int(token.id) >= $0 }) ?? false {
        outside.append(token.content)
        continue
      }
      note(wish, id: token.id, isKnown: found != nil)
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

  /// Says where a token is written with another id than its own, once for each token and id.
  private mutating func note(_ wish: Wish, id: Int32, isKnown: Bool) {
    let written = wish.token.id
    guard written >= 0, written != id, moved.insert("\(written) \(wish.token.content)").inserted, moved.count <= Self.toldMoves else { return }
    let why = !isKnown ? "it gets the next free one" : wish.place == Self.ownFile ? "the one that it has already counts" : "tokenizer.json's counts"
    notes.append("\(wish.place) gives '\(wish.token.content)' the id \(written); \(why), \(id)")
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
