/// Reads a regular expression as Oniguruma does in Ruby's syntax, which Hugging Face's tokenizers use. What is not known is refused.
struct RegularExpressionParser {
  private let scalars: [Unicode.Scalar]
  private var index = 0
  private var ignoresCase = false
  private var depth = 0
  private static let deepest = 32
  private static let mostRepetitions = 1000

  init(_ pattern: String) { scalars = Array(pattern.unicodeScalars) }

  private typealias Node = RegularExpressionNode
  private typealias Unsupported = RegularExpression.Unsupported

  private var next: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }
  private mutating func take(_ text: String) -> Bool {
    let wanted = Array(text.unicodeScalars)
    guard scalars[index...].starts(with: wanted) else { return false }
    index += wanted.count
    return true
  }
  private func unsupported(_ what: String) -> Unsupported { Unsupported(reason: "\(what) at character \(index)") }

  mutating func whole() throws(RegularExpression.Unsupported) -> RegularExpressionNode {
    let node = try choice()
    guard next == nil else { throw unsupported("a bracket without another") }
    return node
  }

  private mutating func choice() throws(Unsupported) -> Node {
    depth += 1
    guard depth <= Self.deepest else { throw unsupported("more than \(Self.deepest) groups within each other") }
    var all = [try sequence()]
    while take("|") { all.append(try sequence()) }
    depth -= 1
    return all.count == 1 ? all[0] : .choice(all)
  }

  private mutating func sequence() throws(Unsupported) -> Node {
    var all: [Node] = []
    while let scalar = next, scalar != "|", scalar != ")" { all.append(try quantified(try atom())) }
    return all.count == 1 ? all[0] : .sequence(all)
  }

  private mutating func quantified(_ node: Node) throws(Unsupported) -> Node {
    var (least, most): (Int, Int?)
    var isCounted = false
    if take("*") {
      (least, most) = (0, nil)
    } else if take("+") {
      (least, most) = (1, nil)
    } else if take("?") {
      (least, most) = (0, 1)
    } else if take("{") {
      isCounted = true
      let first = number()
      (least, most) = (first ?? 0, first)
      if take(",") { most = number() }
      guard first != nil || most != nil, take("}"), least <= most ?? .max, max(least, most ?? 0) <= Self.mostRepetitions else { throw unsupported("a number of repetitions") }
    } else {
      return node
    }
    if case .follows = node { throw unsupported("repetition of what takes nothing") }
    if case .place = node { throw unsupported("repetition of what takes nothing") }
    let isLast = !["*", "+", "?", "{"].contains(next)
    if isLast { return .repeated(node, least: least, most: most, isGreedy: true) }
    guard !isCounted else { throw unsupported("repetition of a repetition") }
    if take("?") { return .repeated(node, least: least, most: most, isGreedy: false) }
    // As much as there is, and never less: then no more of it follows.
    guard take("+"), case .set = node else { throw unsupported("repetition of a repetition") }
    let all = Node.repeated(node, least: least, most: most, isGreedy: true)
    return most == 1 ? .choice([node, .follows(node, false)]) : .sequence([all, .follows(node, false)])
  }
  private mutating func number() -> Int? {
    var value: Int?
    while let digit = next.flatMap({ $0.isASCII ? Int(String($0)) : nil }), (value ?? 0) < 100_000 { value = (value ?? 0) * 10 + digit; index += 1 }
    return value
  }

  private mutating func atom() throws(Unsupported) -> Node {
    guard let scalar = next else { throw unsupported("no end") }
    index += 1
    switch scalar {
    case "(": return try group()
    case "[": return .set(try set())
    case ".": return .set(ScalarSet(0x0A...0x0A).inverted)
    case "$": return .place(.lineEnd)
    case "^": return .place(.lineStart)
    case "*", "+", "?", "{": throw unsupported("a repetition of nothing")
    case "\\":
      if take("b") { return .place(.wordEdge(true)) }
      if take("B") { return .place(.wordEdge(false)) }
      if take("A") { return .place(.textStart) }
      if take("z") { return .place(.textEnd) }
      return .set(try escape())
    default: return .set(try literal(scalar))
    }
  }

  private mutating func group() throws(Unsupported) -> Node {
    let before = ignoresCase
    defer { ignoresCase = before }
    var ahead: Bool?
    if take("?") {
      if take("=") {
        ahead = true
      } else if take("!") {
        ahead = false
      } else if take("i:") {
        ignoresCase = true
      } else if take("i)") {
        // What follows in the group around this one.
        ignoresCase = true
        let node = try choice()
        guard next == nil || next == ")" else { throw unsupported("a flag in a place") }
        return node
      } else if !take(":") {
        throw unsupported("a group of a kind")
      }
    }
    let node = try choice()
    guard take(")") else { throw unsupported("a bracket without another") }
    return ahead.map { .follows(node, $0) } ?? node
  }

  private func literal(_ scalar: Unicode.Scalar) throws(Unsupported) -> ScalarSet {
    var set = ScalarSet(scalar.value...scalar.value)
    guard ignoresCase else { return set }
    guard scalar.isASCII else { throw unsupported("a letter in any case") }
    for other in (scalar.properties.lowercaseMapping + scalar.properties.uppercaseMapping).unicodeScalars { set.insert(ScalarSet(other.value...other.value)) }
    // The long s and the sign of Kelvin.
    if scalar == "s" || scalar == "S" { set.insert(ScalarSet(0x17F...0x17F)) }
    if scalar == "k" || scalar == "K" { set.insert(ScalarSet(0x212A...0x212A)) }
    return set
  }

  /// After a backslash.
  private mutating func escape() throws(Unsupported) -> ScalarSet {
    guard let scalar = next else { throw unsupported("no end") }
    index += 1
    switch scalar {
    case "s": return .space
    case "S": return ScalarSet.space.inverted
    case "w": return .word
    case "W": return ScalarSet.word.inverted
    case "d", "D":
      guard let digits = ScalarSet.category(named: "Nd") else { throw unsupported("a set") }
      return scalar == "d" ? digits : digits.inverted
    case "p", "P":
      guard take("{") else { throw unsupported("a property") }
      var isInverted = scalar == "P"
      if take("^") { isInverted.toggle() }
      var name = ""
      while let letter = next, letter != "}" { name.unicodeScalars.append(letter); index += 1 }
      guard take("}"), let set = ScalarSet.category(named: name) else { throw unsupported("the property \(name.prefix(40))") }
      return isInverted ? set.inverted : set
    case "n": return ScalarSet(0x0A...0x0A)
    case "r": return ScalarSet(0x0D...0x0D)
    case "t": return ScalarSet(0x09...0x09)
    case "f": return ScalarSet(0x0C...0x0C)
    case "v": return ScalarSet(0x0B...0x0B)
    default:
      guard scalar.isASCII, !scalar.properties.isAlphabetic, scalar.properties.numericType == nil else { throw unsupported("\\\(scalar)") }
      return ScalarSet(scalar.value...scalar.value)
    }
  }

  /// After the bracket that opens it.
  private mutating func set() throws(Unsupported) -> ScalarSet {
    let isInverted = take("^")
    var set = ScalarSet()
    var isFirst = true
    while let scalar = next, scalar != "]" || isFirst {
      isFirst = false
      index += 1
      if scalar == "[" || scalar == "&" && next == "&" || scalar == "]" { throw unsupported("a set within a set") }
      let start = scalar == "\\" ? try escape() : ScalarSet(scalar.value...scalar.value)
      guard let first = start.ranges.first?.lowerBound, start == ScalarSet(first...first), next == "-", index + 1 < scalars.count, scalars[index + 1] != "]" else {
        if !ignoresCase || start.ranges.isEmpty { set.insert(start) } else if scalar == "\\" { set.insert(start) } else { set.insert(try literal(scalar)) }
        continue
      }
      index += 1
      guard !ignoresCase, let last = next else { throw unsupported("a range in any case") }
      index += 1
      let end = last == "\\" ? try escape() : ScalarSet(last.value...last.value)
      guard let upper = end.ranges.first?.lowerBound, end == ScalarSet(upper...upper), first <= upper else { throw unsupported("a range") }
      set.insert(ScalarSet(first...upper))
    }
    guard take("]") else { throw unsupported("a set without an end") }
    return isInverted ? set.inverted : set
  }
}
