import JSON
import TestSupport
import Testing

struct JSONParserTests {
  func parse(_ text: String) throws(JSONError) -> JSONValue { try JSONValue(parsing: text) }
  func problem(_ bytes: [UInt8], depth: Int = 128) -> JSONError? {
    do throws(JSONError) { _ = try JSONValue(parsing: bytes, maximumDepth: depth) } catch { return error }
    return nil
  }
  func problem(_ text: String) -> JSONError? { problem(Array(text.utf8)) }

  @Test(arguments: [
    "null", "true", "false", "0", "-0", "1", "-12", "0.5", "1e5", "1E+05", "1.25e-3", "123456789012345678901234567890",
    "\"\"", "\"a\"", "[]", "{}", "[1,[2,[3]]]", "{\"a\":{\"b\":[null]}}", "{\"\":0}", "\"\u{7F}\u{2028}é𝄞\"",
  ]) func `a document in its shortest spelling is written as it was read`(text: String) throws {
    #expect(try parse(text).serialized() == text)
    #expect(try parse(" \t\r\n" + text + "\n ").serialized() == text)
  }
  @Test(arguments: [
    "", " ", "nul", "nulll", "True", "NaN", "Infinity", "-Infinity", "+1", "01", "-", "-01", ".5", "1.", "1.e5", "1e", "1e+", "0x10",
    "1_000", "--1", "1 2", "[", "]", "[1,]", "[,1]", "[1 2]", "[1,,2]", "{", "}", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
    "{a:1}", "{'a':1}", "{1:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "\"", "\"a", "'a'", "\"\\\"", "\"\\x\"", "\"\\u12\"",
    "\"\\u12G4\"", "\"\\u+123\"", "\"\\uD800\"", "\"\\uD800\\n\"", "\"\\uDC00\"", "\"\\uD800\\uD800\"", "\"\\uD800\\u0041\"",
    "\"a\nb\"", "\"\u{0}\"", "\"\u{1F}\"", "// note\n1", "1/**/", "\u{FEFF}1", "[1\u{A0}]", "{\"a\":1}}", "[]]", "true false",
  ]) func `what the RFC forbids is refused`(text: String) { #expect(problem(text) != nil, "\(text)") }

  @Test func `more combining marks in a row than any text has are refused, in names and strings`() throws {
    // Of two classes in turn, which putting into order takes a time that grows with the square of their number.
    func marks(_ count: Int) -> String { String((0..<count).flatMap { _ in "\u{301}\u{316}".unicodeScalars }.map(Character.init)) }
    let limit = CombiningMarks.limit / 2
    for text in ["\"a\(marks(limit))\"", "{\"a\(marks(limit))\":0}", "[\"\(marks(limit))b\(marks(limit))\"]", "\"\(String(repeating: "가", count: 1000))\""] {
      #expect(problem(text) == nil)
    }
    let million = 1_000_000 / 4
    for (text, offset) in [
      ("\"a\(marks(limit))\u{301}\"", 0), ("{\"a\(marks(million))\":0}", 1), ("[1,\"\(marks(million))\"]", 3),
      ("\"" + String(repeating: "\\u0301\\u0316", count: limit + 1) + "\"", 0), ("{\"a\":{\"\(String(repeating: "\u{301}", count: 500_000))\":1}}", 6),
    ] {
      let found = problem(text)
      #expect(found?.problem == .tooManyMarks(limit: CombiningMarks.limit) && found?.offset == offset)
    }
    // Who bounds the work on a text in another way may take any.
    let all = try JSONValue(parsing: Array("\"\(marks(1000))\"".utf8), maximumMarks: .max)
    #expect(all.string?.unicodeScalars.count == 2000)
  }
  @Test func `a name is no longer than a name can be`() {
    #expect(problem("{\"\(String(repeating: "a", count: 1 << 16))\":0}") == nil)
    #expect(problem("{\"\(String(repeating: "a", count: 1 << 16 + 1))\":0}")?.problem == .keyTooLong(bytes: 1 << 16 + 1, limit: 1 << 16))
    let twice = problem("{\"\(String(repeating: "a", count: 5000))\":0,\"\(String(repeating: "a", count: 5000))\":0}")
    #expect(twice.map { "\($0)".count < 300 } == true)
  }
  @Test func `an error says where`() {
    #expect(problem("[1, x]")?.offset == 4)
    #expect(problem("{\"a\": 1, \"a\": 2}") == problem("{\"a\": 1, \"a\": 2}"))
    #expect(problem("{\"a\": 1, \"a\": 2}")?.problem == .duplicateKey("a"))
    #expect(problem("{\"a\": 1, \"a\": 2}")?.offset == 9)
    #expect(problem("{\"a\": 1, \"\\u0061\": 2}")?.problem == .duplicateKey("a"))
    #expect(problem("[1] 2")?.problem == .trailingBytes)
    #expect(problem("[")?.problem == .unexpectedEnd)
  }
  @Test(
    arguments: [
      [0x22, 0x80, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
      [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], [0x22, 0xFF, 0x22], [0x22, 0x5C, 0x6E, 0xE2, 0x82, 0x22],
    ] as [[UInt8]]) func `text that is not UTF-8 is refused, before and after an escape`(bytes: [UInt8])
  {
    #expect(problem(bytes)?.problem == .invalidUTF8)
  }
  @Test func `depth is bounded, not the stack's to find out`() {
    func nested(_ depth: Int) -> [UInt8] { [UInt8](repeating: 0x5B, count: depth) + [UInt8](repeating: 0x5D, count: depth) }
    #expect(problem(nested(128)) == nil)
    #expect(problem(nested(129))?.problem == .tooDeep(limit: 128))
    #expect(problem(nested(1_000_000))?.problem == .tooDeep(limit: 128))
    let objects = String(repeating: "{\"a\":", count: 1_000_000)
    #expect(problem(objects)?.problem == .tooDeep(limit: 128))
    #expect(problem(Array("[[],[],[[]]]".utf8), depth: 3) == nil, "siblings do not add up")
  }
  @Test func `escapes mean what the RFC says`() throws {
    #expect(try parse(#""\"\\\/\b\f\n\r\t\u0041\u00e9\uD834\uDD1E""#).string == "\"\\/\u{8}\u{C}\n\r\tAé𝄞")
    #expect(JSONValue.string("\"\\/\u{8}\u{C}\n\r\té\u{1}").serialized() == #""\"\\/\b\f\n\r\té\u0001""#)
    #expect(JSONValue.string("é𝄞").serialized(escapesNonASCII: true) == #""\u00e9\ud834\udd1e""#)
  }
  @Test func `members keep their order and numbers their spelling`() throws {
    let text = #"{"z":1.50,"a":1e-05,"m":[0.10,12345678901234567890],"b":-0.0}"#
    #expect(try parse(text).serialized() == text)
    #expect(try parse("9007199254740993").int == 9_007_199_254_740_993)
    #expect(try parse("1e3").int == 1000 && parse("2.0").int == 2 && parse("2.5").int == nil && parse("1e300").int == nil)
    #expect(try parse("18446744073709551616").int == nil && parse("1e400").double == .infinity)
  }
  @Test func `Python's words for what is not finite are read only where allowed`() throws {
    for word in ["NaN", "Infinity", "-Infinity"] {
      #expect(problem(word) != nil)
      #expect(try JSONValue(parsing: word, allowsNonFinite: true).serialized() == word)
    }
    #expect(try JSONValue(parsing: "NaN", allowsNonFinite: true).double?.isNaN == true)
    #expect(throws: JSONError.self) { try JSONValue(parsing: "Infinit", allowsNonFinite: true) }
    #expect(throws: JSONError.self) { try JSONValue(parsing: "-NaN", allowsNonFinite: true) }
  }

  func value(_ generator: inout SeededGenerator, depth: Int) -> JSONValue {
    func text() -> String {
      let scalars: [UnicodeScalar] = ["a", "\"", "\\", "\n", "\u{0}", "\u{1F}", "é", "\u{FFFF}", "𝄞", "\u{7F}", "/"]
      var text = ""
      for _ in 0..<Int.random(in: 0...6, using: &generator) {
        text.unicodeScalars.append(scalars.randomElement(using: &generator)!)
      }
      return text
    }
    switch Int.random(in: 0...(depth > 0 ? 6 : 4), using: &generator) {
    case 0: return .null
    case 1: return .bool(Bool.random(using: &generator))
    case 2: return .int(Int.random(in: Int.min...Int.max, using: &generator))
    case 3:
      let double = Double(bitPattern: UInt64.random(in: 0...UInt64.max, using: &generator))
      return double.isFinite ? .double(double) : 0.5
    case 4: return .string(text())
    case 5: return .array((0..<Int.random(in: 0...4, using: &generator)).map { _ in value(&generator, depth: depth - 1) })
    default:
      var members = JSONObject()
      for _ in 0..<Int.random(in: 0...4, using: &generator) { members[text()] = value(&generator, depth: depth - 1) }
      return .object(members)
    }
  }
  @Test func `what is written, in any style, is read back the same`() throws {
    var generator = SeededGenerator(seed: 42)
    for _ in 0..<2000 {
      let original = value(&generator, depth: 4)
      for indent in [nil, 0, 2, 4] {
        for escapes in [false, true] {
          let text = original.serialized(indent: indent, escapesNonASCII: escapes)
          #expect(try parse(text) == original)
          if escapes { #expect(text.utf8.allSatisfy { $0 < 0x80 }) }
        }
      }
    }
  }
  @Test func `indented text is Python's`() throws {
    let text = "{\n    \"a\": [],\n    \"b\": {},\n    \"c\": [\n        1,\n        {\n            \"d\": null\n        }\n    ]\n}"
    #expect(try parse(text).serialized(indent: 4) == text)
  }
  @Test func `random bytes never crash`() {
    var generator = SeededGenerator(seed: 1)
    let alphabet = Array("{}[]:,\"\\u0aAdDfFeE+-.1 \n\u{1}ntrlsé".utf8) + [0x80, 0xFF]
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in alphabet.randomElement(using: &generator)! }
      if problem(bytes) == nil {
        let value = try? JSONValue(parsing: bytes)
        #expect(value.flatMap { try? JSONValue(parsing: $0.serialized()) } == value)
      }
    }
  }

  @Test func `of a key that appears twice the last value may be asked for`() throws {
    let text = Array(#"{"a": 1, "b": {"c": 2, "c": 3}, "a": 4}"#.utf8)
    let error = #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    #expect(error?.description.hasPrefix("at byte") == true && error?.remedy == "Take one of the two out.")
    #expect(try JSONValue(parsing: text, takesLast: true) == ["a": 4, "b": ["c": 3]])
  }

  @Test("half of a surrogate pair is named, and where", arguments: [#""x\uD83D""#, #""x\uDC00""#, #""x\ud83d\ud83d""#, #""x\uD800\n""#, #""x\uD800A""#])
  func loneSurrogates(text: String) {
    let error = #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    #expect(error?.description == "invalid JSON at byte 2: an escape is half of a surrogate pair, which alone is no character", "\(String(describing: error))")
  }
}
