/// A regular expression for paths of modules, as PEFT reads it with Python's `re`.
///
/// It stands in a file that anyone may have written, so it is matched in time that is bounded by its length times the
/// path's, by following all alternatives at once (Thompson, "Regular expression search algorithm", 1968). Of Python's
/// syntax this takes characters, `.`, classes, groups, alternatives, repetitions, `^`, `$`, `\b` and looking around; what
/// refers back to a group, and flags, are refused.
package struct ModulePattern: Sendable {
  /// Which part of a path it is for.
  package enum Use: Sendable {
    /// The end: `re.match(rf"(.*\.)?({text})$", path)`, a key of `rank_pattern` or `alpha_pattern`.
    case end
    /// All: `re.fullmatch(text, path)`, `target_modules` or `exclude_modules` as a string.
    case whole
    /// Components: `re.match(rf"(^|.*\.){text}($|\..*)", path)`, an element of `modules_to_save`.
    case components
  }

  /// Why a key cannot be read.
  package struct Failure: Error {
    let reason: String
    static func syntax(_ reason: String) -> Failure { Failure(reason: reason) }
  }

  struct CharacterSet: Sendable {
    var ranges: [ClosedRange<UInt32>] = []
    var isNegated = false
    func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.contains(scalar) } != isNegated }
    static let any = CharacterSet(ranges: [0x0A...0x0A], isNegated: true)
    static let dot = CharacterSet(ranges: [0x2E...0x2E])
  }
  indirect enum Node {
    case one(CharacterSet)
    case sequence([Node])
    case choice([Node])
    case repeated(Node, minimum: Int, maximum: Int?)
    case start, end
    /// Between a character of a word and another.
    case boundary(isNegated: Bool)
    /// What follows, or what stands before.
    case look(Node, isAhead: Bool, isNegated: Bool)
  }
  enum State: Sendable {
    case one(CharacterSet, next: Int)
    case either(Int, Int)
    case start(next: Int)
    case end(next: Int)
    case boundary(isNegated: Bool, next: Int)
    case look(Int, isNegated: Bool, next: Int)
    case accept
  }

  private let use: Use
  /// A pattern of so many characters without repetition or alternative, which most are: names.
  private(set) var fixed: [CharacterSet]?
  private(set) var states: [State] = []
  private var first = 0
  /// What is looked for around a position, the inner ones first.
  private(set) var looks: [(first: Int, isAhead: Bool)] = []
  /// States that are followed from every position.
  private var aheadStates = 0

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
      states -= pattern.states.count + 64 * pattern.aheadStates
      // Also an empty pattern is one to be tried.
      characters -= (pattern.fixed?.count ?? 0) + 1
      return states >= 0 && characters >= 0
    }
  }

  package init(_ text: String, for use: Use = .end) throws(Failure) {
    self.use = use
    guard text.utf8.count <= Self.characterLimit else { throw .syntax("is longer than \(Self.characterLimit) bytes") }
    var parser = Parser(text)
    var node = try parser.parse()
    if case .sequence(let parts) = node {
      fixed = parts.reduce(into: Optional([CharacterSet]())) { found, part in
        if case .one(let set) = part { found?.append(set) } else { found = nil }
      }
    }
    guard fixed == nil else { return }
    switch use {
    case .whole: break
    case .end:
      node = .sequence([
        .repeated(.sequence([.repeated(.one(.any), minimum: 0, maximum: nil), .one(.dot)]), minimum: 0, maximum: 1), node,
      ])
    case .components:
      // PEFT puts no group around it: an alternative takes its neighbours with it.
      var whole = Parser(#"(^|.*\.)\#(text)($|\..*)"#)
      node = .sequence([try whole.parse(), .repeated(.one(.any), minimum: 0, maximum: nil)])
    }
    states = [.accept]
    first = try add(node, next: 0)
  }

  /// Whether a path is one of those that the pattern is for.
  package func matches(_ path: String) -> Bool {
    let scalars = path.unicodeScalars.map(\.value)
    guard let fixed else { return PatternRun(self, scalars).matches(from: first) }
    func fits(at start: Int) -> Bool { zip(fixed, scalars[start...]).allSatisfy { $0.contains($1) } }
    func isDot(_ index: Int) -> Bool { index < 0 || index >= scalars.count || scalars[index] == 0x2E }
    let start = scalars.count - fixed.count
    guard start >= 0 else { return false }
    switch use {
    case .whole: return start == 0 && fits(at: 0)
    case .end: return isDot(start - 1) && fits(at: start)
    case .components: return (0...start).contains { isDot($0 - 1) && isDot($0 + fixed.count) && fits(at: $0) }
    }
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
    case .boundary(let isNegated): return try append(.boundary(isNegated: isNegated, next: next))
    case .look(let part, let isAhead, let isNegated):
      let before = states.count
      let first = try add(part, next: 0)
      looks.append((first, isAhead))
      if isAhead { aheadStates += states.count - before }
      return try append(.look(looks.count - 1, isNegated: isNegated, next: next))
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
