extension RegularExpression {
  /// Where in a text the expression was found to fail, and memory that is used again.
  struct Search {
    fileprivate var failed: Set<UInt64> = []
    /// What is left to be tried, as ``key(_:_:)``. With the highest bit: what was above was all that could be tried there, and it failed.
    fileprivate var stack: [UInt64] = []
    fileprivate static let isEnd: UInt64 = 1 << 63
  }

  /// The first match at or after `start`; of those that begin there the one that the order of choices prefers.
  ///
  /// - Parameter range: What counts as the text.
  func match(in text: [UInt8], _ range: Range<Int>, from start: Int, _ search: inout Search) -> Range<Int>? {
    var index = start
    while index < range.upperBound {
      if let end = end(of: text, range, from: index, at: 0, &search) { return index..<end }
      index = UTF8Text.end(of: text, scalarAt: index)
    }
    return nil
  }

  private func end(of text: [UInt8], _ range: Range<Int>, from start: Int, at first: Int, _ search: inout Search) -> Int? {
    let base = search.stack.count
    defer { search.stack.removeLast(search.stack.count - base) }
    var (operation, index) = (first, start)
    while true {
      var goesOn = true
      switch operations[operation] {
      case .done: return index
      case .jump(let place):
        // Ways that join here fail or not together.
        if search.failed.contains(Self.key(place, index)) { goesOn = false; break }
        search.stack.append(Self.key(place, index) | Search.isEnd)
        operation = place
      case .scalar(let set):
        goesOn = false
        if index < range.upperBound {
          let (scalar, end) = UTF8Text.scalar(of: text, at: index)
          if set.contains(scalar) { (operation, index, goesOn) = (operation + 1, end, true) }
        }
      case .either(let one, let other):
        if search.failed.contains(Self.key(operation, index)) { goesOn = false; break }
        search.stack.append(Self.key(operation, index) | Search.isEnd)
        search.stack.append(Self.key(other, index))
        operation = one
      case .follows(let isWanted, let place):
        goesOn = (end(of: text, range, from: index, at: operation + 1, &search) != nil) == isWanted
        operation = place
      case let place:
        goesOn = holds(place, text, range, index)
        operation += 1
      }
      guard !goesOn else { continue }
      while true {
        guard search.stack.count > base, let entry = search.stack.popLast() else { return nil }
        guard entry & Search.isEnd != 0 else {
          (operation, index) = (Int(entry & 0xFFFF), Int(entry >> 16))
          break
        }
        search.failed.insert(entry & ~Search.isEnd)
      }
    }
  }

  private static func key(_ operation: Int, _ index: Int) -> UInt64 { UInt64(index) << 16 | UInt64(operation) }

  private func holds(_ place: Operation, _ text: [UInt8], _ range: Range<Int>, _ index: Int) -> Bool {
    func isWord(at index: Int) -> Bool { index < range.upperBound && ScalarSet.word.contains(UTF8Text.scalar(of: text, at: index).value) }
    switch place {
    case .textEnd: return index == range.upperBound
    case .lineEnd: return index == range.upperBound || text[index] == 0x0A
    case .textStart: return index == range.lowerBound
    case .lineStart: return index == range.lowerBound || text[index - 1] == 0x0A && index < range.upperBound
    case .wordEdge(let isWanted):
      let before = index > range.lowerBound && isWord(at: UTF8Text.start(of: text, scalarBefore: index))
      return (before != isWord(at: index)) == isWanted
    default: return true
    }
  }
}

extension RegularExpression {
  /// All of `range` in matches and what lies between them.
  func cut(_ text: [UInt8], _ range: Range<Int>) -> [(range: Range<Int>, isMatch: Bool)] {
    var pieces: [(range: Range<Int>, isMatch: Bool)] = []
    var search = Search()
    var start = range.lowerBound
    while let match = match(in: text, range, from: start, &search) {
      if start < match.lowerBound { pieces.append((start..<match.lowerBound, false)) }
      pieces.append((match, true))
      start = match.upperBound
    }
    if start < range.upperBound { pieces.append((start..<range.upperBound, false)) }
    return pieces
  }
}
