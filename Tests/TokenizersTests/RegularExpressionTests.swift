import JSON
import Testing
import Tokenizers

/// Regular expressions of `pre_tokenizer`, against what Hugging Face's tokenizers cut (Scripts/reference/word_patterns.py).
@Suite struct RegularExpressionTests {
  private func cutter(_ patterns: [String], _ behavior: String = "Isolated", invert: Bool = false) throws(TokenizerError) -> WordCutter {
    let steps = patterns.map { ["type": "Split", "pattern": ["Regex": .string($0)], "behavior": .string(behavior), "invert": .bool(invert)] as JSONValue }
    return try WordCutter(["type": "Sequence", "pretokenizers": .array(steps)])
  }

  @Test func `words are cut as Hugging Face's tokenizers cut them`() throws {
    let all = try Expected.json("Expected/word-patterns.json")
    let texts = try #require(all["texts"]?.array).compactMap(\.string)
    for one in try #require(all["cases"]?.array) {
      let name = one["name"]?.string ?? ""
      let cutter = try cutter(
        (one["patterns"]?.array ?? []).compactMap(\.string), one["behavior"]?.string ?? "", invert: one["invert"]?.bool ?? false)
      let cuts = try #require(one["cuts"]?.array)
      #expect(cuts.count == texts.count && texts.count >= 300)
      var wrong = 0
      for (text, expected) in zip(texts, cuts) where .ints(cutter.lengths(of: text)) != expected {
        wrong += 1
        if wrong < 3 { Issue.record("\(name), \(one["behavior"]?.string ?? ""): \(text.debugDescription) \(cutter.lengths(of: text)) \(expected.serialized())") }
      }
      #expect(wrong == 0, "\(name)")
    }
  }

  @Test func `an expression that fails late at every place costs no more than its length times the text's`() throws {
    let text = String(repeating: "a", count: 50_000)
    for pattern in ["a+b", "a*a*a*a*c|a", "(?:a+|aa)+b", "(?:a?){30}b|a", #"(?:\w+\s?)+!"#] {
      let clock = ContinuousClock()
      let taken = try clock.measure { _ = try cutter([pattern]).lengths(of: text) }
      #expect(taken < .seconds(60), "\(pattern)")
    }
  }

  @Test func `repetitions of nothing are bounded, and ways that join are tried once`() throws {
    var nothing = "(?:)"
    for _ in 0..<5 { nothing = "(?:\(nothing){1000})" }
    #expect(throws: TokenizerError.self) { try cutter(["a" + nothing]) }
    // Of 1,700 ways to the same place one is enough.
    let joined = "(?:" + [String](repeating: "a", count: 1700).joined(separator: "|") + ")" + String(repeating: "a{1000}", count: 6) + "b|a"
    let text = String(repeating: "a", count: 2000)
    #expect(try cutter([joined]).lengths(of: text).count == 2000)
    // A set of thousands is read at once.
    let set = "[" + (0..<4000).map { String(Unicode.Scalar(0x4E00 + $0 as UInt32) ?? "a") }.joined() + "]"
    #expect(try cutter([String](repeating: set, count: 30)).lengths(of: "一丁x") == [3, 3, 1])
  }

  @Test func `an expression that is not known is refused with the reason`() {
    for (pattern, reason) in [
      (#"\p{Han}+"#, "the property Han"), ("a*", "matches nothing"), ("(?<=a)b", "a group of a kind"), ("(?:a*)*b", "repeats what can be empty"),
      ("[a&&b]", "a set within a set"), ("a(?=b+)", "looks ahead without an end"), (#"(a)\1"#, #"\1"#), ("a{2}+", "repetition of a repetition"), ("(a", "a bracket"), ("a)", "a bracket"),
      ("[a", "a set without an end"), (String(repeating: "(", count: 100), "groups within each other"), ("a{1,5000}", "a number of repetitions"),
    ] {
      let error = #expect(throws: TokenizerError.self) { try cutter([pattern]) }
      #expect(error.map { "\($0)".contains(reason) && !"\($0)".contains("\n") } == true, "\(pattern): \(error.map { "\($0)" } ?? "")")
    }
  }
}
