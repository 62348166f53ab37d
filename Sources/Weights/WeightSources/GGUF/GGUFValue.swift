/// A metadata value. Integers of every width are one case, since how wide a count was written says nothing.
public enum GGUFValue: Sendable, Equatable {
  /// Any width, with or without sign, that an `Int` holds.
  case integer(Int)
  /// An unsigned 64-bit number beyond `Int.max`.
  case large(UInt64)
  /// As stored; ``double`` reads it as its author wrote it.
  case float32(Float)
  /// As stored.
  case float64(Double)
  /// One byte; 0 is false.
  case bool(Bool)
  /// UTF-8.
  case string(String)
  /// An array of strings.
  case strings([String])
  /// An array of integers, of any width.
  case integers([Int])
  /// An array of 32-bit floats.
  case floats([Float])
  /// An array of booleans.
  case bools([Bool])

  /// The kind in words, for messages.
  var kind: String {
    switch self {
    case .integer, .large: "an integer"
    case .float32, .float64: "a number"
    case .bool: "a boolean"
    case .string: "a string"
    case .strings: "an array of strings"
    case .integers: "an array of integers"
    case .floats: "an array of numbers"
    case .bools: "an array of booleans"
    }
  }
}

extension GGUFValue {
  /// An integer; nil for another kind, also for a float that is whole.
  public var int: Int? { if case .integer(let value) = self { value } else { nil } }
  /// A boolean; nil for another kind.
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// A string; nil for another kind.
  public var string: String? { if case .string(let value) = self { value } else { nil } }
  /// An array of strings; nil for another kind.
  public var strings: [String]? { if case .strings(let values) = self { values } else { nil } }
  /// An array of integers; nil for another kind.
  public var integers: [Int]? { if case .integers(let values) = self { values } else { nil } }
  /// An array of floats; nil for another kind.
  public var floats: [Float]? { if case .floats(let values) = self { values } else { nil } }
  /// An array of numbers of either kind.
  var numbers: [Float]? { floats ?? integers.map { $0.map(Float.init) } }

  /// The number with the fewest digits that reads back as the stored value: a 32-bit 1e-5 gives 1e-5, where widening
  /// would give 9.999999747378752e-06.
  public var double: Double? {
    switch self {
    case .float32(let value): Double(value.description)
    case .float64(let value): value
    case .integer(let value): Double(value)
    default: nil
    }
  }
}
