/// How Python writes values: `str()` and `repr()`, and its string operations, which count Unicode scalars.
enum PythonText {
  /// Python's shortest spelling of a float.
  static func spelling(_ value: Double) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    // Swift gives the same shortest digits, but puts the exponent elsewhere.
    var text = value.description
    let sign = text.hasPrefix("-") ? "-" : ""
    text = String(text.drop { $0 == "-" })
    var exponent = 0
    if let mark = text.firstIndex(of: "e") {
      exponent = Int(text[text.index(after: mark)...]) ?? 0
      text = String(text[..<mark])
    }
    let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    var digits = String(parts[0]) + (parts.count > 1 ? String(parts[1]) : "")
    var point = parts[0].count + exponent  // digits before the decimal point
    let zeros = digits.prefix { $0 == "0" }.count
    digits.removeFirst(min(zeros, digits.count - 1))
    point -= min(zeros, digits.utf8.count + zeros - 1)
    while digits.utf8.count > 1, digits.hasSuffix("0") { digits.removeLast() }
    if digits == "0" { return sign + "0.0" }
    if point > 16 || point < -3 {
      let first = String(digits.prefix(1))
      let rest = String(digits.dropFirst())
      let power = point - 1
      let number = String(abs(power))
      return sign + first + (rest.isEmpty ? "" : "." + rest) + "e" + (power < 0 ? "-" : "+")
        + (number.utf8.count < 2 ? "0" : "") + number
    }
    if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
    if digits.utf8.count <= point {
      return sign + digits + String(repeating: "0", count: point - digits.utf8.count) + ".0"
    }
    return sign + String(digits.prefix(point)) + "." + String(digits.dropFirst(point))
  }

  /// A string as Python's `repr` quotes it.
  static func quoted(_ text: String) -> String {
    let scalars = text.unicodeScalars
    let quote: Unicode.Scalar = scalars.contains("'") && !scalars.contains("\"") ? "\"" : "'"
    var result = String.UnicodeScalarView()
    result.append(quote)
    for scalar in scalars {
      switch scalar {
      case quote, "\\":
        result.append("\\")
        result.append(scalar)
      case "\n": result.append(contentsOf: "\\n".unicodeScalars)
      case "\r": result.append(contentsOf: "\\r".unicodeScalars)
      case "\t": result.append(contentsOf: "\\t".unicodeScalars)
      default:
        if isPrintable(scalar) { result.append(scalar); continue }
        let (mark, width) = scalar.value < 0x100 ? ("\\x", 2) : scalar.value < 0x10000 ? ("\\u", 4) : ("\\U", 8)
        result.append(contentsOf: (mark + hexadecimal(scalar.value, width: width)).unicodeScalars)
      }
    }
    result.append(quote)
    return String(result)
  }

  private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.value < 0x7F { return scalar.value >= 0x20 }
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator:
      return false
    default: return true
    }
  }

  static func hexadecimal(_ value: UInt32, width: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
  }

  /// Two strings are the same when their scalars are; Swift's `==` would take two spellings of `é` for one.
  static func same(_ a: String, _ b: String) -> Bool { a.utf8.elementsEqual(b.utf8) }
  /// In the order of code points, which is that of UTF-8 bytes.
  static func less(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

  static func scalars(_ slice: some Sequence<Unicode.Scalar>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: slice)
    return String(view)
  }

  /// `strip`: takes off characters of `set`, or white space where it is nil.
  static func strip(_ text: String, _ set: String?, left: Bool = true, right: Bool = true) -> String {
    let characters = set.map { Set($0.unicodeScalars) }
    func goes(_ scalar: Unicode.Scalar) -> Bool { characters?.contains(scalar) ?? scalar.isPythonSpace }
    var view = text.unicodeScalars[...]
    if left { while let first = view.first, goes(first) { view.removeFirst() } }
    if right { while let last = view.last, goes(last) { view.removeLast() } }
    return String(view)
  }

  /// `split` at white space.
  static func words(_ text: String, maximum: Int = .max) -> [String] {
    var words: [String] = []
    var rest = text.unicodeScalars[...]
    while true {
      while let first = rest.first, first.isPythonSpace { rest.removeFirst() }
      if rest.isEmpty { return words }
      if words.count >= maximum {
        words.append(String(rest))
        return words
      }
      let end = rest.firstIndex(where: \.isPythonSpace) ?? rest.endIndex
      words.append(String(rest[..<end]))
      rest = rest[end...]
    }
  }

  /// `splitlines`, line ends left out unless kept.
  static func lines(_ text: String, keepingEnds: Bool = false) -> [String] {
    var lines: [String] = []
    var line = String.UnicodeScalarView()
    var afterReturn = false
    for scalar in text.unicodeScalars {
      if scalar == "\n", afterReturn {
        afterReturn = false
        if keepingEnds, let last = lines.popLast() { lines.append(last + "\n") }
        continue
      }
      afterReturn = scalar == "\r"
      switch scalar {
      case "\n", "\r", "\u{B}", "\u{C}", "\u{1C}", "\u{1D}", "\u{1E}", "\u{85}", "\u{2028}", "\u{2029}":
        if keepingEnds { line.append(scalar) }
        lines.append(String(line))
        line = .init()
      default: line.append(scalar)
      }
    }
    if !line.isEmpty { lines.append(String(line)) }
    return lines
  }

  /// The `title` method: capitals after every character without case.
  static func title(_ text: String) -> String {
    var result = ""
    var insideWord = false
    for scalar in text.unicodeScalars {
      let properties = scalar.properties
      let cased = properties.isCased
      result += cased ? (insideWord ? properties.lowercaseMapping : properties.titlecaseMapping) : String(scalar)
      insideWord = cased
    }
    return result
  }

  static func capitalized(_ text: String) -> String {
    guard let first = text.unicodeScalars.first else { return text }
    return first.properties.titlecaseMapping + String(text.unicodeScalars.dropFirst()).lowercased()
  }

  /// The `title` filter: capitals after white space and opening brackets.
  static func titleFilter(_ text: String) -> String {
    var result = ""
    var startsWord = true
    for scalar in text.unicodeScalars {
      let separates = scalar.isPythonSpace || "-({[<".unicodeScalars.contains(scalar)
      if separates {
        result.unicodeScalars.append(scalar)
      } else {
        result += startsWord ? scalar.properties.uppercaseMapping : scalar.properties.lowercaseMapping
      }
      startsWord = separates
    }
    return result
  }
}
