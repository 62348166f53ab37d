import JSON
import SystemPackage
import TestSupport
import Testing

/// What is said here of a family's configurations that transformers reads otherwise, or takes without a word.
struct FamilyFacts: Sendable {
  /// Of the file in Expected/family-facts.
  let name: String
  /// Loaded by transformers, and refused here: what it leaves out without an error would be missed, or no engine computes it. By case, with
  /// a word of the message.
  var refused: [String: String] = [:]
  /// Refused by transformers, and taken here: what was meant is plain.
  var taken: [String] = []
  /// What is warned about; of every other case nothing is, but for what ``sharedWarnings`` has.
  var warned: [String: [String]] = [:]
  /// Of the cases that every family has: tensors in float32 are rounded.
  static let sharedWarnings = ["type: bfloat16": ["torch_dtype"]]

  /// Every family that has such a file: a new one is a line here, and a file beside this one.
  static let all: [FamilyFacts] = [
    .gemma2,
    .granite,
    .smolLM3,
    .olmo2,
    .exaone4,
  ]

  struct Case: Sendable, CustomTestStringConvertible {
    let facts: FamilyFacts
    /// Of the family's tensors.
    let kind: JSONValue
    let json: JSONValue
    var name: String { json["name"]?.string ?? "" }
    var testDescription: String { "\(facts.name): \(name)" }
  }

  var cases: [Case] {
    let path = FilePath(#filePath).removingLastComponent().appending("Expected/family-facts/\(name).json")
    guard let text = contents(path), let json = try? JSONValue(parsing: text) else { return [] }
    return (json["cases"]?.array ?? []).map { Case(facts: self, kind: json["tensors"] ?? .null, json: $0) }
  }
}
