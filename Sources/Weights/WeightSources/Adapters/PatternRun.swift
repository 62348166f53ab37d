/// One pattern's states, followed through one path.
struct PatternRun {
  private let states: [ModulePattern.State]
  private let scalars: [UInt32]
  /// For each of the pattern's looks: whether it finds something at each position.
  private var finds: [[Bool]] = []

  init(_ pattern: ModulePattern, _ scalars: [UInt32]) {
    states = pattern.states
    self.scalars = scalars
    // The inner ones come first.
    for look in pattern.looks {
      let found =
        look.isAhead
        ? (0...scalars.count).map { ends(of: look.first, from: $0).contains(true) }
        : ends(of: look.first, from: 0, startsAnywhere: true)
      finds.append(found)
    }
  }

  /// Whether all of the path is matched from a state.
  func matches(from first: Int) -> Bool { ends(of: first, from: 0)[scalars.count] }

  /// For each position, whether a match ends there.
  ///
  /// - Parameter startsAnywhere: It may begin at any position from `start` on.
  private func ends(of first: Int, from start: Int, startsAnywhere: Bool = false) -> [Bool] {
    var result = [Bool](repeating: false, count: scalars.count + 1)
    var marks = [Int](repeating: -1, count: states.count)
    /// All states that are reached from one without a character.
    func reach(_ state: Int, at position: Int, _ into: inout [Int]) {
      var pending = [state]
      while let state = pending.popLast() {
        guard marks[state] != position else { continue }
        marks[state] = position
        switch states[state] {
        case .accept: result[position] = true
        case .one: into.append(state)
        case .either(let one, let other): pending += [one, other]
        case .start(let next): if position == 0 { pending.append(next) }
        case .end(let next): if position == scalars.count { pending.append(next) }
        case .boundary(let isNegated, let next):
          if (isWord(position - 1) != isWord(position)) != isNegated { pending.append(next) }
        case .look(let index, let isNegated, let next): if finds[index][position] != isNegated { pending.append(next) }
        }
      }
    }
    var current: [Int] = []
    reach(first, at: start, &current)
    for index in start..<scalars.count {
      var following: [Int] = []
      for state in current {
        if case .one(let set, let next) = states[state], set.contains(scalars[index]) { reach(next, at: index + 1, &following) }
      }
      if startsAnywhere { reach(first, at: index + 1, &following) }
      current = following
      if current.isEmpty, !startsAnywhere { break }
    }
    return result
  }

  private func isWord(_ index: Int) -> Bool {
    guard scalars.indices.contains(index) else { return false }
    switch scalars[index] {
    case 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: return true
    default: return false
    }
  }
}
