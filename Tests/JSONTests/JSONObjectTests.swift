import JSON
import OrderedCollections
import Testing

@Suite struct JSONObjectTests {
  /// One character in two spellings, which are equal `String`s.
  private static let (composed, decomposed) = ("\u{E9}", "e\u{301}")

  @Test func `names are told apart by their bytes`() throws {
    #expect(Self.composed == Self.decomposed)
    let text = "{\"\(Self.composed)\":1,\"\(Self.decomposed)\":2}"
    var object = try #require(try JSONValue(parsing: text).object)
    #expect(object[Self.composed] == 1 && object[Self.decomposed] == 2)
    #expect(JSONValue.object(object).serialized() == text)
    #expect(object.keys.contains(Self.decomposed) && !object.keys.contains("e"))
    object[Self.composed] = nil
    #expect(object.count == 1 && object[Self.composed] == nil && object[Self.decomposed] == 2)
    #expect(object != JSONObject(uniqueKeysWithValues: [(Self.composed, 2 as JSONValue)]))
    // A dictionary of `String`s has one place for both.
    #expect(try JSONValue(parsing: text).object?.mapValues { $0.int } == [Self.composed: 2])
  }
  @Test func `members keep their places`() {
    var object: JSONObject = ["b": 1, "a": 2, "b": 3]
    #expect(object.map(\.key) == ["b", "a"] && object["b"] == 3)
    object["c"] = 4
    object["b"] = 5
    #expect(object.updateValue(6, forKey: "a") == 2 && object.updateValue(7, forKey: "d") == nil)
    #expect(Array(object.keys) == ["b", "a", "c", "d"] && Array(object.values) == [5, 6, 4, 7])
    object.merge(["e": 8, "a": 9]) { old, _ in old }
    #expect(object["a"] == 6 && object.keys.last == "e")
    #expect(object.filter { $0.key < "c" }.map(\.key) == ["b", "a"])
    #expect(object.removeValue(forKey: "b") == 5 && object.removeValue(forKey: "b") == nil && object.first?.key == "a")
    // Order counts, as it does in a file.
    #expect((["a": 1, "b": 2] as JSONObject) != ["b": 2, "a": 1])
  }
}
