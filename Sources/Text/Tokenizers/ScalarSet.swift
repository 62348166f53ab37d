/// A set of Unicode scalars: ranges and general categories, of which either may be meant the other way round.
struct ScalarSet: Sendable, Equatable {
  private(set) var ranges: [ClosedRange<UInt32>] = []
  /// A bit for each general category.
  private(set) var categories: UInt32 = 0
  private(set) var hasSpace = false
  private(set) var hasWord = false
  /// Sets that are part of this one.
  private(set) var parts: [ScalarSet] = []
  private var isInverted = false
  /// What holds of the first 128 scalars.
  private var low: (UInt64, UInt64) = (0, 0)

  static func == (a: ScalarSet, b: ScalarSet) -> Bool {
    a.ranges == b.ranges && a.categories == b.categories && a.hasSpace == b.hasSpace && a.hasWord == b.hasWord && a.parts == b.parts
      && a.isInverted == b.isInverted
  }

  init() {}
  init(_ scalars: ClosedRange<UInt32>) { ranges = [scalars]; index() }
  init(categories: UInt32) { self.categories = categories; index() }
  static let space: ScalarSet = {
    var set = ScalarSet(); set.hasSpace = true; set.index(); return set
  }()
  /// `\w`: letters, marks, decimal digits, connectors.
  static let word: ScalarSet = {
    var set = ScalarSet(); set.hasWord = true; set.index(); return set
  }()
  static let all = ScalarSet(0...0x10FFFF)

  var inverted: ScalarSet {
    var set = self
    set.isInverted.toggle()
    set.index()
    return set
  }
  mutating func insert(_ other: ScalarSet) {
    if other.isInverted || !other.parts.isEmpty {
      parts.append(other)
    } else {
      ranges += other.ranges
      categories |= other.categories
      hasSpace = hasSpace || other.hasSpace
      hasWord = hasWord || other.hasWord
    }
    guard !isInverted else { return index() }
    low.0 |= other.low.0
    low.1 |= other.low.1
  }

  @inline(__always)
  func contains(_ scalar: UInt32) -> Bool {
    guard scalar >= 128 else { return (scalar < 64 ? low.0 >> UInt64(scalar) : low.1 >> UInt64(scalar - 64)) & 1 == 1 }
    return holds(scalar)
  }

  private func holds(_ scalar: UInt32) -> Bool {
    var found = ranges.contains { $0.contains(scalar) }
    if !found, categories != 0 { found = categories >> UInt32(Self.category(scalar)) & 1 == 1 }
    if !found, hasSpace { found = Unicode.Scalar(scalar)?.properties.isWhitespace ?? false }
    if !found, hasWord, let scalar = Unicode.Scalar(scalar) { found = Self.isWord(scalar) }
    return (found || parts.contains { $0.contains(scalar) }) != isInverted
  }
  private mutating func index() {
    low = (0, 0)
    for scalar in UInt32(0)..<128 where holds(scalar) {
      if scalar < 64 { low.0 |= 1 << UInt64(scalar) } else { low.1 |= 1 << UInt64(scalar - 64) }
    }
  }

  private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .decimalNumber, .connectorPunctuation, .nonspacingMark, .spacingMark, .enclosingMark: true
    // And, as Oniguruma has it, numbers of Latin-1 that are no digits.
    default: scalar.properties.isAlphabetic || [0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE].contains(scalar.value)
    }
  }

  // MARK: General categories

  private static let names: [Unicode.GeneralCategory: (bit: UInt8, name: String)] = [
    .uppercaseLetter: (0, "Lu"), .lowercaseLetter: (1, "Ll"), .titlecaseLetter: (2, "Lt"), .modifierLetter: (3, "Lm"), .otherLetter: (4, "Lo"),
    .nonspacingMark: (5, "Mn"), .spacingMark: (6, "Mc"), .enclosingMark: (7, "Me"), .decimalNumber: (8, "Nd"), .letterNumber: (9, "Nl"),
    .otherNumber: (10, "No"), .connectorPunctuation: (11, "Pc"), .dashPunctuation: (12, "Pd"), .openPunctuation: (13, "Ps"),
    .closePunctuation: (14, "Pe"), .initialPunctuation: (15, "Pi"), .finalPunctuation: (16, "Pf"), .otherPunctuation: (17, "Po"),
    .mathSymbol: (18, "Sm"), .currencySymbol: (19, "Sc"), .modifierSymbol: (20, "Sk"), .otherSymbol: (21, "So"), .spaceSeparator: (22, "Zs"),
    .lineSeparator: (23, "Zl"), .paragraphSeparator: (24, "Zp"), .control: (25, "Cc"), .format: (26, "Cf"), .surrogate: (27, "Cs"),
    .privateUse: (28, "Co"), .unassigned: (29, "Cn"),
  ]
  /// By a name of one letter or two, as in `\p{Lu}`; nil for another property.
  static func category(named name: String) -> ScalarSet? {
    let bits = names.values.filter { $0.name == name || name.count == 1 && $0.name.hasPrefix(name) }.reduce(UInt32(0)) { $0 | 1 << UInt32($1.bit) }
    return bits == 0 ? nil : ScalarSet(categories: bits)
  }
  /// Of the first 65,536 scalars, looked up once.
  private static let basicPlane: [UInt8] = (0..<0x10000).map { computed($0) }
  private static func computed(_ scalar: UInt32) -> UInt8 {
    Unicode.Scalar(scalar).flatMap { names[$0.properties.generalCategory]?.bit } ?? 27
  }
  private static func category(_ scalar: UInt32) -> UInt8 { scalar < 0x10000 ? basicPlane[Int(scalar)] : computed(scalar) }
}
