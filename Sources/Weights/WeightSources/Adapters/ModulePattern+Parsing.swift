extension ModulePattern {
  /// Reads Python's syntax of regular expressions.
  struct Parser {
    private var rest: ArraySlice<Unicode.Scalar>
    private var depth = 0

    init(_ text: String) { rest = Array(text.unicodeScalars)[...] }

    mutating func parse() throws(Failure) -> Node {
      let node = try alternatives()
      guard rest.isEmpty else { throw .syntax("has a ) without its (") }
      return node
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
      guard rest.first == scalar else { return false }
      rest.removeFirst()
      return true
    }

    private mutating func alternatives() throws(Failure) -> Node {
      guard depth < 50 else { throw .syntax("nests too deeply") }
      depth += 1
      defer { depth -= 1 }
      var parts = [try sequence()]
      while take("|") { parts.append(try sequence()) }
      return parts.count == 1 ? parts[0] : .choice(parts)
    }

    private mutating func sequence() throws(Failure) -> Node {
      var parts: [Node] = []
      while let next = rest.first, next != "|", next != ")" { parts.append(try repetition(of: atom())) }
      return .sequence(parts)
    }

    private mutating func repetition(of node: Node) throws(Failure) -> Node {
      let range: (Int, Int?)
      switch rest.first {
      case "*": range = (0, nil)
      case "+": range = (1, nil)
      case "?": range = (0, 1)
      case "{":
        // Python reads a brace that is no count as itself.
        guard let (count, after) = counts() else { return node }
        range = count
        rest = after
        return try finished(node, range)
      default: return node
      }
      rest.removeFirst()
      return try finished(node, range)
    }

    private mutating func finished(_ node: Node, _ range: (Int, Int?)) throws(Failure) -> Node {
      if rest.first == "+" { throw .syntax("has a possessive repetition") }
      _ = take("?")  // which of two ways matches first is nothing to a yes or no
      if let next = rest.first, next == "*" || next == "+" || next == "?" { throw .syntax("repeats a repetition") }
      switch node {
      case .start, .end, .boundary, .look: throw .syntax("repeats what takes no character")
      default: break
      }
      guard range.0 <= 200, (range.1 ?? 0) <= 200 else { throw .syntax("counts beyond 200") }
      return .repeated(node, minimum: range.0, maximum: range.1)
    }

    /// `{2}`, `{2,}`, `{,3}` or `{2,3}`.
    private func counts() -> ((Int, Int?), ArraySlice<Unicode.Scalar>)? {
      // Two numbers of three digits; to look further would cost the square of a long pattern.
      guard let close = rest.prefix(16).firstIndex(of: "}") else { return nil }
      let parts = String(String.UnicodeScalarView(rest[(rest.startIndex + 1)..<close])).split(separator: ",", omittingEmptySubsequences: false)
      let after = rest[(close + 1)...]
      func number(_ text: Substring) -> Int? { text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil }
      switch parts.count {
      case 1: return number(parts[0]).map { (($0, $0), after) }
      case 2 where parts[0].isEmpty && parts[1].isEmpty: return nil
      case 2:
        guard let low = parts[0].isEmpty ? 0 : number(parts[0]) else { return nil }
        guard !parts[1].isEmpty else { return ((low, nil), after) }
        guard let high = number(parts[1]), high >= low else { return nil }
        return ((low, high), after)
      default: return nil
      }
    }

    private mutating func atom() throws(Failure) -> Node {
      let scalar = rest.removeFirst()
      switch scalar {
      case "^": return .start
      case "$": return .end
      case ".": return .one(CharacterSet(ranges: [0x0A...0x0A], isNegated: true))
      case "[": return .one(try characterClass())
      case "(":
        guard take("?") else { return try group() }
        if take(":") { return try group() }
        if take("=") { return .look(try group(), isAhead: true, isNegated: false) }
        if take("!") { return .look(try group(), isAhead: true, isNegated: true) }
        if take("P") {
          guard take("<"), let close = rest.firstIndex(of: ">") else { throw .syntax("refers back to a group") }
          rest = rest[(close + 1)...]
          return try group()
        }
        if take("<") {
          if take("=") { return .look(try group(), isAhead: false, isNegated: false) }
          if take("!") { return .look(try group(), isAhead: false, isNegated: true) }
        }
        throw .syntax("sets flags, or asks which group matched")
      case "*", "+", "?": throw .syntax("repeats nothing")
      case "\\":
        guard let next = rest.popFirst() else { throw .syntax("ends in a backslash") }
        if next == "A" { return .start }
        if next == "Z" { return .end }
        if next == "b" { return .boundary(isNegated: false) }
        if next == "B" { return .boundary(isNegated: true) }
        return .one(try escaped(next))
      default: return .one(CharacterSet(ranges: [scalar.value...scalar.value]))
      }
    }

    /// What is left of a group whose beginning was read.
    private mutating func group() throws(Failure) -> Node {
      let node = try alternatives()
      guard take(")") else { throw .syntax("has a ( without its )") }
      return node
    }

    private func escaped(_ scalar: Unicode.Scalar) throws(Failure) -> CharacterSet {
      let digit: [ClosedRange<UInt32>] = [0x30...0x39]
      let word = digit + [0x41...0x5A, 0x5F...0x5F, 0x61...0x7A]
      let space: [ClosedRange<UInt32>] = [0x09...0x0D, 0x20...0x20]
      switch scalar {
      case "d": return CharacterSet(ranges: digit)
      case "D": return CharacterSet(ranges: digit, isNegated: true)
      case "w": return CharacterSet(ranges: word)
      case "W": return CharacterSet(ranges: word, isNegated: true)
      case "s": return CharacterSet(ranges: space)
      case "S": return CharacterSet(ranges: space, isNegated: true)
      default:
        guard scalar.value < 0x80, !word.contains(where: { $0.contains(scalar.value) }) || scalar == "_" else {
          throw .syntax("has \\\(scalar)")
        }
        return CharacterSet(ranges: [scalar.value...scalar.value])
      }
    }

    private mutating func characterClass() throws(Failure) -> CharacterSet {
      var set = CharacterSet()
      set.isNegated = take("^")
      var isFirst = true
      while let scalar = rest.popFirst() {
        if scalar == "]", !isFirst { return set }
        isFirst = false
        var low = scalar
        if scalar == "\\" {
          guard let next = rest.popFirst() else { break }
          let escape = try escaped(next)
          guard !escape.isNegated else { throw .syntax("has \\\(next) in a class") }
          guard escape.ranges.count == 1, let range = escape.ranges.first, range.count == 1 else {
            set.ranges += escape.ranges
            continue
          }
          low = next
        }
        guard rest.first == "-", rest.dropFirst().first != "]", rest.count > 1 else {
          set.ranges.append(low.value...low.value)
          continue
        }
        rest.removeFirst()
        var high = rest.removeFirst()
        if high == "\\" {
          guard let next = rest.popFirst() else { break }
          high = next
        }
        guard high.value >= low.value else { throw .syntax("has a class from '\(low)' to '\(high)'") }
        set.ranges.append(low.value...high.value)
      }
      throw .syntax("has a [ without its ]")
    }
  }
}
