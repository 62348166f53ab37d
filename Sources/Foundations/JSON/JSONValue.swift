/// A JSON document as a tree that loses nothing: members keep their order, numbers their spelling.
///
/// Configuration files travel through Drydock and must come out as they went in (`1e-05` stays `1e-05`,
/// an integer beyond 2^53 keeps its digits), which decoding into `Double` would not give.
public enum JSONValue: Sendable, Hashable {
  /// `null`; a member that holds it is there, unlike one that is absent.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A number with its author's spelling.
  case number(JSONNumber)
  /// Text, its escapes replaced.
  case string(String)
  /// Values in order, of any kinds.
  case array([JSONValue])
  /// Members in the order of the text.
  case object(JSONObject)
}

/// A number as its author spelled it.
public struct JSONNumber: Sendable, Hashable {
  /// As spelled, such as `1e-05`. Where the parser allowed them also `NaN`, `Infinity` and `-Infinity`.
  public let text: String

  /// In decimal digits.
  public init(_ value: Int) { text = String(value) }
  /// The shortest spelling that reads back as the same value; a whole number keeps its `.0`. NaN and infinity have no spelling in JSON.
  public init(_ value: Double) { text = value.description }
  init(checked text: String) { self.text = text }

  /// The value if it is a whole number that fits, whether spelled `3`, `3.0` or `3e0`.
  public var int: Int? {
    if let exact = Int(text) { return exact }
    guard let value = Double(text), value.rounded(.towardZero) == value, abs(value) < 0x1p53 else { return nil }
    return Int(value)
  }
  /// The nearest float64: infinite beyond its range, NaN for `NaN`.
  public var double: Double? { Double(text) }
}

extension JSONValue {
  /// nil for a value of another kind.
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// A whole number that fits, however it is spelled (`3`, `3.0`, `3e0`); nil for any other value.
  public var int: Int? { if case .number(let value) = self { value.int } else { nil } }
  /// The nearest float64; nil for a value of another kind.
  public var double: Double? { if case .number(let value) = self { value.double } else { nil } }
  /// nil for a value of another kind.
  public var string: String? { if case .string(let value) = self { value } else { nil } }
  /// The elements in order; nil for a value of another kind.
  public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
  /// The members in order; nil for a value of another kind.
  public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
  /// Whether the value is `null`. A member that is missing is no value at all, which ``subscript(_:)`` gives as nil.
  public var isNull: Bool { self == .null }

  /// The value itself; nil where it is `null`.
  public var unlessNull: JSONValue? { isNull ? .none : .some(self) }

  /// The member called `key`, or nil where this is no object or has no such member.
  public subscript(key: String) -> JSONValue? {
    if case .object(let members) = self { members[key] } else { nil }
  }
  /// What kind of value this is, for messages: `a string`, `an array`, …
  public var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
  /// A string, of a literal.
  public init(stringLiteral value: String) { self = .string(value) }
  /// A whole number, of a literal.
  public init(integerLiteral value: Int) { self = .number(JSONNumber(value)) }
  /// In the shortest spelling, see ``JSONNumber``.
  public init(floatLiteral value: Double) { self = .number(JSONNumber(value)) }
  /// `true` or `false`, of a literal.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// An array, of a literal.
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  /// `null`, of a literal.
  public init(nilLiteral: ()) { self = .null }
  /// The last of two members of one name wins.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(JSONObject(elements, uniquingKeysWith: { $1 }))
  }
}

extension JSONValue {
  /// A number in decimal digits.
  public static func int(_ value: Int) -> JSONValue { .number(JSONNumber(value)) }
  /// A number in its shortest spelling. JSON has no word for NaN and infinity: they are null.
  public static func double(_ value: Double) -> JSONValue { value.isFinite ? .number(JSONNumber(value)) : .null }
  /// An array of numbers, in order.
  public static func ints(_ values: some Sequence<Int>) -> JSONValue { .array(values.map { .int($0) }) }
  /// An array of strings, in order.
  public static func strings(_ values: some Sequence<String>) -> JSONValue { .array(values.map { .string($0) }) }
}
