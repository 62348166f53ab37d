import JSON

/// A SentencePiece vocabulary (`tokenizer.ggml.model` is `llama`) in the terms of tokenizer.json.
enum SentencePieceRule {
  /// Visible spaces in front of words, bytes to fall back on: the members that Llama 2 was published with.
  static func members(_ metadata: GGUFTokenizer) -> JSONObject {
    let spaces: JSONValue = ["type": "Replace", "pattern": ["String": " "], "content": "▁"]
    let prefix: JSONValue = ["type": "Prepend", "prepend": "▁"]
    let addsPrefix = metadata.addsSpacePrefix ?? true
    var decoders: [JSONValue] = [
      ["type": "Replace", "pattern": ["String": "▁"], "content": " "], ["type": "ByteFallback"], ["type": "Fuse"],
    ]
    if addsPrefix { decoders.append(["type": "Strip", "content": " ", "start": 1, "stop": 0]) }
    return [
      "normalizer": ["type": "Sequence", "normalizers": .array(addsPrefix ? [prefix, spaces] : [spaces])],
      "pre_tokenizer": nil,
      "decoder": ["type": "Sequence", "decoders": .array(decoders)],
    ]
  }

  /// Characters; SentencePiece itself makes pieces of 16 by default.
  private static let longestPiece = 128
  /// For each token; Llama 2 has two.
  private static let mostWays = 32

  /// SentencePiece joins whatever two pieces make the piece of the highest score. As a list of merges that is: every
  /// way to make a piece of two, by the piece's score; of equal ones as Hugging Face orders them, the longer first.
  ///
  /// - Throws: ``TokenizerError`` for pieces of which there would be more ways, or longer ones, than published vocabularies
  ///   have a fraction of: they grow with the square of a piece's length.
  static func merges(_ metadata: GGUFTokenizer) throws(TokenizerError) -> [String] {
    let reader = JSONMembers(file: "GGUF metadata")
    struct Merge {
      var left: String
      var right: String
      var score: Float
      var leftCount: Int
      var rightCount: Int
    }
    func isPlain(_ id: Int) -> Bool { metadata.tokenTypes.isEmpty || metadata.tokenTypes[id] == 1 || metadata.tokenTypes[id] == 5 }
    var vocabulary = Vocabulary(capacity: metadata.tokens.count)
    for (id, token) in metadata.tokens.enumerated() where isPlain(id) {
      _ = vocabulary.insert(token, id: Int32(id))
      guard !vocabulary.isCrowded else { throw reader.inconsistent("tokenizer.ggml.tokens is made so that reading it takes for ever") }
    }
    var merges: [Merge] = []
    for (id, token) in metadata.tokens.enumerated() where isPlain(id) {
      let bytes = Array(token.utf8)
      let count = token.unicodeScalars.count
      guard count <= longestPiece else {
        throw reader.unsupported("a piece of tokenizer.ggml.tokens", "of \(count) characters", "at most \(longestPiece)")
      }
      var ways: [(left: Int32, right: Int32, merge: Merge)] = []
      var end = 0
      for leftCount in 1..<max(count, 1) {
        end = UTF8Text.end(of: bytes, scalarAt: end)
        guard let left = vocabulary.id(of: bytes[..<end]), let right = vocabulary.id(of: bytes[end...]) else { continue }
        let merge = Merge(
          left: String(decoding: bytes[..<end], as: UTF8.self), right: String(decoding: bytes[end...], as: UTF8.self),
          score: metadata.scores[id], leftCount: leftCount, rightCount: count - leftCount)
        ways.append((left, right, merge))
      }
      merges += ways.sorted { ($0.left, $0.right) < ($1.left, $1.right) }.map(\.merge)
      guard merges.count <= 4096 + mostWays * metadata.tokens.count else {
        throw reader.inconsistent("tokenizer.ggml.tokens can be made of each other in more than \(merges.count) ways")
      }
    }
    // Stable, which the standard library's sort is in fact but does not promise: the place decides in the end.
    return merges.enumerated().sorted { a, b in
      let (x, y) = (a.element, b.element)
      return (-x.score, -x.leftCount, -x.rightCount, a.offset) < (-y.score, -y.leftCount, -y.rightCount, b.offset)
    }.map { $0.element.left + " " + $0.element.right }
  }
}
