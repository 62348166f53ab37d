import Inference
import TestSupport
import Testing

@Suite struct StopStringMatcherTests {
  func run(_ pieces: [String], stops: [String], includesStop: Bool = false) -> (text: String, stop: String?) {
    var matcher = StopStringMatcher(stopStrings: stops, includesStop: includesStop)
    var text = ""
    for piece in pieces {
      let step = matcher.feed(piece)
      text += step.text
      if let stop = step.stop { return (text, stop) }
    }
    return (text + matcher.finish(), nil)
  }

  @Test func `text that may begin a stop string is held back until it is known`() {
    var matcher = StopStringMatcher(stopStrings: ["\n\nUser:"])
    #expect(matcher.feed("Hi.\n") == .init(text: "Hi."))
    #expect(matcher.feed("\n") == .init(text: ""))
    #expect(matcher.feed("\nUs") == .init(text: "\n"))
    #expect(matcher.feed("ed") == .init(text: "\n\nUsed"))
    #expect(matcher.feed("\n\nUser: no") == .init(text: "", stop: "\n\nUser:"))
    #expect(matcher.hasStopped)
    #expect(matcher.feed("more") == .init(text: ""))
    #expect(matcher.finish() == "")
  }

  @Test func `what was held back comes out at the end`() {
    #expect(run(["ab", "c<|e"], stops: ["<|end|>"]) == ("abc<|e", nil))
  }

  @Test func `the stop string is shown when asked for`() {
    #expect(run(["a", "b END", " c"], stops: ["END"], includesStop: true) == ("ab END", "END"))
    #expect(run(["a", "b END", " c"], stops: ["END"]) == ("ab ", "END"))
  }

  @Test func `the first complete stop string ends the text, and the longest of those that end together`() {
    #expect(run(["xabcd"], stops: ["abcd", "bc"]) == ("xa", "bc"))
    #expect(run(["xabc"], stops: ["bc", "abc"]) == ("x", "abc"))
    #expect(run(["aab"], stops: ["ab"]) == ("a", "ab"))
  }

  @Test func `characters of several bytes come out whole`() {
    #expect(run(["dé", "jà ", "👩‍👩‍👧 vu"], stops: ["👩‍👩‍👦"]) == ("déjà 👩‍👩‍👧 vu", nil))
    #expect(run(["è", "é!"], stops: ["é"]) == ("è", "é"))
    #expect(run(["e\u{301}x"], stops: ["\u{301}"]) == ("e", "\u{301}"))
  }

  @Test func `no stop strings hold nothing back`() {
    #expect(run(["a", "b"], stops: []) == ("ab", nil))
    #expect(run(["a", "b"], stops: [""]) == ("ab", nil))
  }

  @Test("how text is cut into pieces changes nothing", arguments: 1...200 as ClosedRange<UInt64>)
  func cutsDoNotMatter(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    func word(_ lengths: ClosedRange<Int>) -> String {
      String(
        (0..<Int.random(in: lengths, using: &generator)).map { _ in "abé".randomElement(using: &generator) ?? "a" })
    }
    let stops = (0..<Int.random(in: 1...3, using: &generator)).map { _ in word(1...5) }
    let text = word(0...40)
    var pieces: [String] = []
    var rest = text[...]
    while !rest.isEmpty {
      let count = Int.random(in: 1...4, using: &generator)
      pieces.append(String(rest.prefix(count)))
      rest = rest.dropFirst(count)
    }
    let includes = Bool.random(using: &generator)
    // The definition: the first end of a stop string; the longest that ends there.
    var expected: (text: String, stop: String?) = (text, nil)
    search: for end in text.indices.map({ text.index(after: $0) }) {
      for stop in stops.sorted(by: { $0.count > $1.count }) where text[..<end].hasSuffix(stop) {
        expected = (String(includes ? text[..<end] : text[..<end].dropLast(stop.count)), stop)
        break search
      }
    }
    #expect(run(pieces, stops: stops, includesStop: includes) == expected)
    #expect(run([text], stops: stops, includesStop: includes) == expected)
  }

  @Test func `nothing held back is lost between empty pieces`() {
    #expect(run(["ab", "", "", "c!"], stops: ["abd"]) == ("abc!", nil))
  }

  /// Each byte would look at a thousand beginnings of sixteen strings, if it looked at them all.
  @Test(.timeLimit(.minutes(8))) func `adverse stop strings take a time that grows with the text alone`() {
    let stops = (0..<16).map { String(repeating: "a", count: 1000 + $0) + "b" }
    var matcher = StopStringMatcher(stopStrings: stops)
    var shown = 0
    for index in 0..<400_000 { shown += matcher.feed(index % 900 == 899 ? "c" : "a").text.utf8.count }
    #expect(shown + matcher.finish().utf8.count == 400_000)
  }
}
