import Checkpoints
import JSON
import TestSupport
import Testing

struct ConfigTextTests {
  func marked(_ text: String) throws -> String { String(decoding: try ConfigText.markedPruned(Array(text.utf8)), as: UTF8.self) }
  func unmarked(_ text: String) throws -> String { String(decoding: try ConfigText.unmarked(Array(text.utf8)), as: UTF8.self) }

  @Test(arguments: [
    (#"{}"#, #"{"is_pruned": true}"#),
    (#"{ }"#, #"{"is_pruned": true}"#),
    (#"{"a": 1}"#, #"{"a": 1, "is_pruned": true}"#),
    (#"{"a":1}"#, #"{"a":1,"is_pruned":true}"#),
    (#"{"a": 1e-05, "b": 500000.0}"#, #"{"a": 1e-05, "b": 500000.0, "is_pruned": true}"#),
    (#"{"a":1,"b":2}"#, #"{"a":1,"b":2,"is_pruned":true}"#),
    ("{\n    \"a\": 1,\n    \"b\": {\n        \"c\": []\n    }\n}\n", "{\n    \"a\": 1,\n    \"b\": {\n        \"c\": []\n    },\n    \"is_pruned\": true\n}\n"),
    ("{\r\n\t\"a\": \"}\\\"\"\r\n}", "{\r\n\t\"a\": \"}\\\"\",\r\n\t\"is_pruned\": true\r\n}"),
    (#"{"is_pruned": false, "a": 1}"#, #"{"is_pruned": true, "a": 1}"#),
    (#"{"a": {"is_pruned": false}}"#, #"{"a": {"is_pruned": false}, "is_pruned": true}"#),
    (#"{"is\u005fpruned" : null}"#, #"{"is\u005fpruned" : true}"#),
    (#"  {"a": [1, {"b": "],}"}]}  "#, #"  {"a": [1, {"b": "],}"}], "is_pruned": true}  "#),
  ]) func `one member is added and every other byte stays`(text: String, expected: String) throws {
    #expect(try marked(text) == expected)
    #expect(try marked(marked(text)) == marked(text), "a second time changes nothing")
  }

  /// JSON with all white space, nesting and strings there can be.
  func document(_ generator: inout SeededGenerator, depth: Int) -> String {
    func space() -> String { ["", "", " ", "\n  ", "\t"].randomElement(using: &generator)! }
    let strings = [#""""#, #""a""#, #""}""#, #""\"{""#, #""\\""#, #""is_pruned""#, #""é,]""#]
    switch depth == 0 ? 9 : Int.random(in: 0...5, using: &generator) {
    case 0: return ["1e-05", "0.10", "-0", "123456789012345678901", "true", "null"].randomElement(using: &generator)!
    case 1: return strings.randomElement(using: &generator)!
    case 2, 3:
      let count = Int.random(in: 0...3, using: &generator)
      return "[" + space() + (0..<count).map { _ in document(&generator, depth: max(1, depth - 1) == 1 ? 0 : depth - 1) }.joined(separator: "," + space()) + space() + "]"
    case 9: return ["7", #""x""#, "false"].randomElement(using: &generator)!
    default:
      let count = Int.random(in: 0...4, using: &generator)
      let members = (0..<count).map { index in
        "\"k\(index)\"" + space() + ":" + space() + document(&generator, depth: depth - 1) + space()
      }
      return "{" + space() + members.joined(separator: "," + space()) + "}"
    }
  }
  @Test func `whatever the spelling, only is_pruned is added, and taking it out gives the text again`() throws {
    var generator = SeededGenerator(seed: 5)
    var tried = 0
    while tried < 500 {
      let text = document(&generator, depth: 4)
      guard text.hasPrefix("{") else { continue }
      tried += 1
      let before = try #require(try JSONValue(parsing: text).object, "\(text)")
      let after = try marked(text)
      var expected = before
      expected["is_pruned"] = true
      #expect(try JSONValue(parsing: after) == .object(expected), "\(text)")
      if !before.isEmpty { #expect(try unmarked(after) == text) }
    }
  }
}
