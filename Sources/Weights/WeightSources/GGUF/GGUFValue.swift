/// A metadata value. Integers of every width are one case, since nobody asks how wide a count was written.
public enum GGUFValue: Sendable, Equatable {
  case integer(Int)
  /// An unsigned 64-bit number beyond `Int.max`.
  case large(UInt64)
  case float32(Float)
  case float64(Double)
  case bool(Bool)
  case string(String)
  case strings([String])
  case integers([Int])
  case floats([Float])
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
  public var int: Int? { if case .integer(let value) = self { value } else { nil } }
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var string: String? { if case .string(let value) = self { value } else { nil } }
  public var strings: [String]? { if case .strings(let values) = self { values } else { nil } }
  public var integers: [Int]? { if case .integers(let values) = self { values } else { nil } }
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
