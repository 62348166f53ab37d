import JSON

/// How tokens become text again: `decoder` of tokenizer.json, reduced to bytes for each token.
struct TokenDecoder: Sendable {
  /// The bytes of all tokens one after another, and where each id's lie.
  private var storage: [UInt8] = []
  private var starts: [Int] = [0]
  private var isSpecial: [Bool] = []
  /// How many spaces at the very beginning belong to no text (SentencePiece writes one before the first word).
  let strippedSpaces: Int

  enum Kind: Equatable, Sendable {
    case byteLevel
    case sentencePiece(replacement: String, strippedSpaces: Int)
  }

  init(kind: Kind, vocabulary: Vocabulary, added: [AddedToken]) {
    if case .sentencePiece(_, let spaces) = kind { strippedSpaces = spaces } else { strippedSpaces = 0 }
    let special = Set(added.filter(\.isSpecial).map(\.id))
    let limit = max(vocabulary.idLimit, (added.map { Int($0.id) }.max() ?? -1) + 1)
    var contents: [Int32: String] = [:]
    for token in added { contents[token.id] = token.content }
    starts.reserveCapacity(limit + 1)
    isSpecial.reserveCapacity(limit)
    for id in 0..<Int32(limit) {
      let token = contents[id] ?? vocabulary.string(of: id)
      if let token { Self.append(token, kind, to: &storage) }
      starts.append(storage.count)
      isSpecial.append(special.contains(id))
    }
  }

  private static func append(_ token: String, _ kind: Kind, to storage: inout [UInt8]) {
    switch kind {
    case .byteLevel: storage += ByteAlphabet.bytes(of: token)
    case .sentencePiece(let replacement, _):
      if token.utf8.count == 6, token.hasPrefix("<0x"), token.hasSuffix(">"),
        let byte = UInt8(token.dropFirst(3).dropLast(), radix: 16)
      {
        storage.append(byte)
      } else {
        storage += Normalizer.replacing(Array(replacement.utf8), in: Array(token.utf8), with: [0x20])
      }
    }
  }

  /// Appends the token's bytes; nothing for an id that no token has, or a special one that is not wanted.
  func append(_ id: Int32, skipSpecialTokens: Bool, to bytes: inout [UInt8]) {
    guard id >= 0, Int(id) < isSpecial.count, !(skipSpecialTokens && isSpecial[Int(id)]) else { return }
    bytes += storage[starts[Int(id)]..<starts[Int(id) + 1]]
  }
}

extension TokenDecoder.Kind {
  init(_ json: JSONValue?, reader: JSONMembers) throws(TokenizerError) {
    guard let json, !json.isNull else {
      throw reader.unsupported("decoder", "null", "ByteLevel, Metaspace, and Llama 2's sequence")
    }
    switch json["type"]?.string {
    case "ByteLevel": self = .byteLevel
    case "Metaspace":
      let never = json["prepend_scheme"]?.string == "never" || json["add_prefix_space"]?.bool == false
      self = .sentencePiece(replacement: try reader.string(json, "replacement"), strippedSpaces: never ? 0 : 1)
    case "Sequence":
      var replacement: String?
      var stripped = 0
      for (index, step) in try reader.array(json, "decoders").enumerated() {
        let reader = reader.inside("decoder.decoders[\(index)]")
        switch step["type"]?.string {
        case "ByteLevel" where json["decoders"]?.array?.count == 1:
          self = .byteLevel
          return
        case "Replace" where step["content"]?.string == " ":
          replacement = step["pattern"]?["String"]?.string
        case "ByteFallback", "Fuse": break
        case "Strip" where step["content"]?.string == " " && step["stop"]?.int == 0:
          stripped = max(0, step["start"]?.int ?? 0)
        case let type:
          throw reader.unsupported("decoder step", type ?? "without a type", "Replace to space, ByteFallback, Fuse, Strip of leading spaces")
        }
      }
      guard let replacement, !replacement.isEmpty else { throw reader.invalid("decoder.decoders", "a sequence with a Replace") }
      self = .sentencePiece(replacement: replacement, strippedSpaces: stripped)
    case let type:
      throw reader.unsupported("decoder", type ?? "without a type", "ByteLevel, Metaspace, Sequence")
    }
  }
}
