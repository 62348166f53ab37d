import JSON
import Testing
import Tokenizers

/// A tokenizer's files come from strangers: a small one must not make work or memory without bound.
@Suite struct TokenizerLimitTests {
  private func tokenizer(_ changes: JSONObject) throws -> Tokenizer {
    var members: JSONObject = [
      "added_tokens": [], "normalizer": nil, "pre_tokenizer": nil, "post_processor": nil,
      "decoder": ["type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"],
      "model": ["type": "BPE", "vocab": ["a": 0, "b": 1], "merges": [], "unk_token": "b"],
    ]
    members.merge(changes) { $1 }
    return try Tokenizer(tokenizerJSON: Array(JSONValue.object(members).serialized().utf8))
  }
  private func refusal(_ changes: JSONObject) -> String? {
    do { _ = try tokenizer(changes) } catch { return "\(error)" }
    return nil
  }
  private func replacing(_ pattern: String, _ content: String) -> JSONValue {
    ["type": "Replace", "pattern": ["String": .string(pattern)], "content": .string(content)]
  }

  @Test func `a replacement that makes text far longer is refused, alone and in a sequence`() {
    let long = replacing("a", String(repeating: "b", count: 65))
    let eight = String(repeating: "a", count: 8)
    #expect(refusal(["normalizer": long])?.contains("65 times") == true)
    #expect(refusal(["normalizer": ["type": "Sequence", "normalizers": [long]]])?.contains("65 times") == true)
    #expect(refusal(["normalizer": ["type": "Sequence", "normalizers": [replacing("b", eight), replacing("a", eight), replacing("a", eight)]]]) != nil)
    #expect(refusal(["normalizer": replacing("a", String(repeating: "b", count: 64))]) == nil)
  }

  @Test func `a long prefix and many steps are refused`() {
    let prefix: JSONValue = ["type": "Prepend", "prepend": .string(String(repeating: "a", count: 200))]
    #expect(refusal(["normalizer": prefix]) == nil)
    #expect(refusal(["normalizer": ["type": "Sequence", "normalizers": [prefix, prefix]]])?.contains("400 bytes") == true)
    let steps = [JSONValue](repeating: ["type": "NFC"], count: 65)
    #expect(refusal(["normalizer": ["type": "Sequence", "normalizers": .array(steps)]])?.contains("65 steps") == true)
  }

  @Test func `a template that names a list of ids again and again is refused`() {
    func template(_ ids: Int, _ times: Int) -> JSONValue {
      let token: JSONValue = ["SpecialToken": ["id": "s"]]
      return [
        "type": "TemplateProcessing", "single": .array([JSONValue](repeating: token, count: times) + [["Sequence": ["id": "A"]]]),
        "special_tokens": ["s": ["ids": .array([JSONValue](repeating: 0, count: ids))]],
      ]
    }
    #expect(refusal(["post_processor": template(16, 16)]) == nil)
    #expect(refusal(["post_processor": template(1000, 1000)])?.contains("more than 256 tokens") == true)
    let many: JSONValue = ["type": "Sequence", "processors": .array([JSONValue](repeating: template(8, 4), count: 9))]
    #expect(refusal(["post_processor": many])?.contains("more than 256 tokens") == true)
  }

  @Test func `an id far beyond the vocabulary is refused, a hole is not`() {
    func model(_ id: Int) -> JSONValue { ["type": "BPE", "vocab": ["a": 0, "b": .int(id)], "merges": [], "unk_token": "b"] }
    #expect(refusal(["model": model(1000)]) == nil)
    #expect(refusal(["model": model(4_000_000)]) != nil)
    func added(_ id: Int) -> JSONValue { [["content": "x", "id": .int(id), "special": true]] }
    #expect(refusal(["added_tokens": added(1000)]) == nil)
    #expect(refusal(["added_tokens": added(4_000_000)])?.contains("far beyond") == true)
  }

  @Test func `tokens chosen to fall into one place of a table are refused`() {
    // FNV-1a as the table computes it.
    func hash(_ text: String) -> UInt64 {
      let hash = text.utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
      return hash ^ (hash >> 29)
    }
    var colliding: [String] = [], ordinary: [String] = []
    var number = 0
    while colliding.count < 1500 {
      let token = "t\(number)"
      if hash(token) % 4096 == 7 { colliding.append(token) } else if ordinary.count < 1500 { ordinary.append(token) }
      number += 1
    }
    func model(_ tokens: [String]) -> JSONValue {
      ["type": "BPE", "vocab": .object(JSONObject(uniqueKeysWithValues: tokens.enumerated().map { ($1, .int($0)) })), "merges": []]
    }
    #expect(refusal(["model": model(ordinary)]) == nil)
    #expect(refusal(["model": model(colliding)])?.contains("takes for ever") == true)
  }

  @Test func `a long added token is refused`() {
    func added(_ count: Int) -> JSONValue { [["content": .string(String(repeating: "x", count: count)), "id": 7, "special": true]] }
    #expect(refusal(["added_tokens": added(512)]) == nil)
    #expect(refusal(["added_tokens": added(513)])?.contains("at most 512 bytes") == true)
  }

  @Test func `pieces that can be made of each other in too many ways are refused`() throws {
    func files(_ tokens: [String]) throws -> [String: [UInt8]] {
      try TokenizerFiles.contents(
        fromGGUF: GGUFTokenizer(
          model: "llama", tokens: ["<unk>"] + tokens, merges: [], unknownID: 0, addsBeginning: false,
          scores: [Float](repeating: 0, count: tokens.count + 1)))
    }
    let runs = (1...100).map { String(repeating: "a", count: $0) }
    _ = try files(runs)
    #expect(throws: TokenizerError.self) { try files(runs + [String(repeating: "b", count: 129)]) }
    // Every prefix and suffix of every run is a token.
    let many = ["b", "c", "d", "e", "f", "g"].flatMap { letter in (1...120).map { String(repeating: letter, count: $0) } }
    #expect(throws: TokenizerError.self) { try files(many) }
  }
}
