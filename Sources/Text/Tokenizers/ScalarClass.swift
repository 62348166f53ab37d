/// What the published word patterns ask of a character.
enum ScalarClass: UInt8, Sendable {
  /// `\p{L}`
  case letter
  /// `\p{N}`
  case number
  /// `\s` without the two below
  case space
  /// `\r` or `\n`
  case newline
  /// Everything else, marks and unassigned scalars among them
  case other

  /// White space, line ends among it.
  @inline(__always) var isSpace: Bool { self == .space || self == .newline }
  /// `[^\s\p{L}\p{N}]`
  @inline(__always) var isSymbol: Bool { self == .other }

  @inline(__always)
  static func of(_ text: [UInt8], at index: Int) -> (class: ScalarClass, end: Int) {
    let (value, end) = UTF8Text.scalar(of: text, at: index)
    return (value < 0x10000 ? basicPlane[Int(value)] : computed(value), end)
  }

  /// The first 65,536 scalars, looked up once: a property lookup costs more than the rest of the scan.
  private static let basicPlane: [ScalarClass] = (0..<0x10000).map { computed($0) }

  private static func computed(_ value: UInt32) -> ScalarClass {
    guard let scalar = Unicode.Scalar(value) else { return .other }
    if scalar == "\r" || scalar == "\n" { return .newline }
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return .letter
    case .decimalNumber, .letterNumber, .otherNumber: return .number
    default: return scalar.properties.isWhitespace ? .space : .other
    }
  }
}
