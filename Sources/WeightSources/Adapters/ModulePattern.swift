/// A key of `rank_pattern` or `alpha_pattern`: a regular expression for the end of a module's path, as PEFT reads it.
///
/// It stands in a file that anyone may have written, so it is matched in time that is bounded by its length times the
/// path's, by following all alternatives at once (Thompson, "Regular expression search algorithm", 1968). Of Python's
/// syntax this takes characters, `.`, classes, groups, alternatives, repetitions, `^` and `$`; what decides by looking
/// around or back is refused.
package struct ModulePattern: Sendable {
  /// Why a key cannot be read.
  package struct Failure: Error {
    let reason: String
    fileprivate static func syntax(_ reason: String) -> Failure { Failure(reason: reason) }
  }

  fileprivate struct CharacterSet: Sendable {
    var ranges: [ClosedRange<UInt32>] = []
    var isNegated = false
    func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.contains(scalar) } != isNegated }
  }
  fileprivate indirect enum Node {
    case one(CharacterSet)
    case sequence([Node])
    case choice([Node])
    case repeated(Node, minimum: Int, maximum: Int?)
    case start, end
  }
  private enum State: Sendable {
    case one(CharacterSet, next: Int)
    case either(Int, Int)
    case start(next: Int)
    case end(next: Int)
    case accept
  }

  /// A pattern of so many characters without repetition or alternative, which most are: names.
  private var fixed: [CharacterSet]?
  private var states: [State] = []
  private var first = 0

  /// States of one pattern.
  static let stateLimit = 5_000

  /// Characters of one pattern.
  static let characterLimit = 4096

  /// What all patterns of one adapter may cost together: each is matched with every module of the model.
  package struct Budget {
    /// States that are followed, and characters that are compared. PEFT's EVA writes a full name for each module: 50,000
    /// characters for a model of 126 layers.
    private(set) var states = 10_000, characters = 1 << 18
    package init() {}

    /// Takes a pattern's cost away; false where it is more than is left.
    package mutating func pays(for pattern: ModulePattern) -> Bool {
      states -= pattern.states.count
      // Also an empty pattern is one to be tried.
      characters -= (pattern.fixed?.count ?? 0) + 1
      return states >= 0 && characters >= 0
    }
  }

  package init(_ text: String) throws(Failure) {
    guard text.utf8.count <= Self.characterLimit else { throw .syntax("is longer than \(Self.characterLimit) bytes") }
    var parser = Parser(text)
    let node = try parser.parse()
    if case .sequence(let parts) = node {
      fixed = parts.reduce(into: Optional([CharacterSet]())) { found, part in
        if case .one(let set) = part { found?.append(set) } else { found = nil }
      }
    }
    guard fixed == nil else { return }
    let dot = CharacterSet(ranges: [0x2E...0x2E])
    let any = CharacterSet(ranges: [0x0A...0x0A], isNegated: true)
    let whole = Node.sequence([
      .repeated(.sequence([.repeated(.one(any), minimum: 0, maximum: nil), .one(dot)]), minimum: 0, maximum: 1), node,
    ])
    states = [.accept]
    first = try add(whole, next: 0)
  }

  /// Whether the pattern matches a path from some `.`, or its beginning, to its end.
  package func matches(_ path: String) -> Bool {
    let scalars = path.unicodeScalars.map(\.value)
    if let fixed {
      let start = scalars.count - fixed.count
      guard start == 0 || start > 0 && scalars[start - 1] == 0x2E else { return false }
      return zip(fixed, scalars[start...]).allSatisfy { $0.contains($1) }
    }
    var current: [Int] = []
    var marks = [Int](repeating: -1, count: states.count)
    /// All states that are reached from one without a character.
    func reach(_ state: Int, at position: Int, _ into: inout [Int]) {
      var pending = [state]
      while let state = pending.popLast() {
        guard marks[state] != position else { continue }
        marks[state] = position
        switch states[state] {
        case .one, .accept: into.append(state)
        case .either(let one, let other): pending += [one, other]
        case .start(let next): if position == 0 { pending.append(next) }
        case .end(let next): if position == scalars.count { pending.append(next) }
        }
      }
    }
    reach(first, at: 0, &current)
    for (index, scalar) in scalars.enumerated() {
      var following: [Int] = []
      for state in current {
        if case .one(let set, let next) = states[state], set.contains(scalar) { reach(next, at: index + 1, &following) }
      }
      current = following
      if current.isEmpty { return false }
    }
    return current.contains(0)
  }

  private mutating func append(_ state: State) throws(Failure) -> Int {
    guard states.count < Self.stateLimit else { throw .syntax("is too long") }
    states.append(state)
    return states.count - 1
  }

  /// Builds a node's states from its end to its beginning; returns the first.
  private mutating func add(_ node: Node, next: Int) throws(Failure) -> Int {
    switch node {
    case .one(let set): return try append(.one(set, next: next))
    case .start: return try append(.start(next: next))
    case .end: return try append(.end(next: next))
    case .sequence(let parts):
      var next = next
      for part in parts.reversed() { next = try add(part, next: next) }
      return next
    case .choice(let parts):
      var begin = try add(parts[0], next: next)
      for part in parts.dropFirst() { begin = try append(.either(begin, add(part, next: next))) }
      return begin
    case .repeated(let part, let minimum, let maximum):
      var next = next
      if let maximum {
        let end = next
        for _ in minimum..<maximum { next = try append(.either(add(part, next: next), end)) }
      } else {
        let loop = try append(.either(next, next))
        states[loop] = .either(try add(part, next: loop), next)
        next = loop
      }
      for _ in 0..<minimum {
        let begin = try add(part, next: next)
        guard begin != next else { break }  // the part is empty, and as often repeated as it likes
        next = begin
      }
      return next
    }
  }
}

extension ModulePattern {
  fileprivate struct Parser {
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
      if case .start = node { throw .syntax("repeats ^") }
      if case .end = node { throw .syntax("repeats $") }
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
        if take("?") {
          if take("P") {
            guard take("<"), let close = rest.firstIndex(of: ">") else { throw .syntax("refers back to a group") }
            rest = rest[(close + 1)...]
          } else if !take(":") {
            throw .syntax("looks around or sets flags")
          }
        }
        let node = try alternatives()
        guard take(")") else { throw .syntax("has a ( without its )") }
        return node
      case "*", "+", "?": throw .syntax("repeats nothing")
      case "\\":
        guard let next = rest.popFirst() else { throw .syntax("ends in a backslash") }
        if next == "A" { return .start }
        if next == "Z" { return .end }
        return .one(try escaped(next))
      default: return .one(CharacterSet(ranges: [scalar.value...scalar.value]))
      }
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
