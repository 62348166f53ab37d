/// Special tokens as llama.cpp's loader has them: what a key does not say, or says of a token that is not there, is the kind's default.
extension GGUFTokenizer {
  /// The ids that the kind of tokenizer has by itself, where there are so many tokens.
  private var defaults: (beginning: Int?, end: Int?, unknown: Int?) {
    func id(_ id: Int) -> Int? { tokens.indices.contains(id) ? id : nil }
    switch model {
    case "llama": return (id(1), id(2), id(0))
    // An ordinary token in most vocabularies: a beginning only where one is asked for.
    case "gpt2": return (addsBeginning == true ? id(11) : nil, id(11), nil)
    default: return (nil, nil, nil)
    }
  }

  private static let keys: [(name: String, path: any WritableKeyPath<GGUFTokenizer, Int?> & Sendable)] = [
    ("bos", \.beginningID), ("eos", \.endID), ("eot", \.endOfTurnID), ("eom", \.endOfMessageID), ("unknown", \.unknownID), ("padding", \.paddingID),
    ("fim_pad", \.fillPaddingID), ("fim_rep", \.fillRepositoryID), ("fim_sep", \.fillSeparatorID),
  ]

  /// With every special token's id one of a token, or nil, types as they count, and a text for every token.
  var resolved: GGUFTokenizer {
    var all = self
    all.tokenTypes = tokenTypes.isEmpty || tokenTypes.count == tokens.count ? countingTypes : tokenTypes
    for (id, token) in tokens.enumerated() where token.isEmpty { all.tokens[id] = "[EMPTY_\(id)]" }
    for (_, path) in Self.keys { if let id = self[keyPath: path], !tokens.indices.contains(id) { all[keyPath: path] = nil } }
    let defaults = defaults
    all.beginningID = all.beginningID ?? defaults.beginning
    all.endID = all.endID ?? defaults.end
    all.unknownID = all.unknownID ?? defaults.unknown
    return all
  }

  /// What is to be said of them, a line each.
  var roleNotes: [String] {
    let all = resolved
    var notes: [String] = []
    for (name, path) in Self.keys {
      let key = "metadata: tokenizer.ggml.\(name)_token_id"
      let counting = all[keyPath: path].map { "\($0) ('\(tokens[$0].prefix(40))') counts" } ?? "it counts as left out"
      if let id = self[keyPath: path] {
        guard id != all[keyPath: path] else { continue }
        notes.append("\(key) is \(id), and there are \(tokens.count) tokens: \(counting), as in llama.cpp")
      } else if model == "gpt2", all[keyPath: path] != nil {
        notes.append("\(key) is missing: \(counting), as in llama.cpp")
      }
    }
    return notes
  }
}
