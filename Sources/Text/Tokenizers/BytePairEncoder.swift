/// Byte-pair encoding of one word: starts from its smallest tokens and joins the pair of lowest rank, leftmost
/// first, until no pair joins. Source: arXiv:1508.07909, with bytes as the smallest tokens as in GPT-2.
struct BytePairEncoder: Sendable {
  /// What a word is cut into before anything is joined.
  enum Alphabet: Sendable {
    /// One token a byte, at the byte's index; -1 where the vocabulary lacks it.
    case bytes([Int32])
    /// One token a scalar. A scalar that is no token becomes its bytes' tokens (`<0xE2>`), if there are
    /// such, otherwise the unknown token.
    case scalars(byteFallback: [Int32]?)
  }
  var vocabulary: Vocabulary
  var merges: MergeTable
  var alphabet: Alphabet
  /// A word that is itself a token needs no merges (Llama 3).
  var takesWholeWords: Bool
  var unknown: Int32?
  /// A run of unknown scalars gives one unknown token.
  var fusesUnknown: Bool

  /// Memory that is used again from word to word.
  struct Scratch {
    fileprivate var ids: [Int32] = []
    fileprivate var previous: [Int32] = []
    fileprivate var next: [Int32] = []
    fileprivate var queue = RankQueue()
    fileprivate var text: [UInt8] = []
    private let budget: WorkBudget?
    private var stepsUntilCheck = Self.stepsBetweenChecks
    private static let stepsBetweenChecks = 1 << 14
    /// Set once the budget is spent; nothing is encoded from then on.
    private(set) var exceeded: WorkBudget.Exceeded?

    init(budget: WorkBudget? = nil) { self.budget = budget }

    /// Notes some steps of work and says whether there may be more.
    fileprivate mutating func goesOn(after steps: Int) -> Bool {
      guard let budget else { return true }
      stepsUntilCheck -= steps
      guard stepsUntilCheck <= 0 else { return exceeded == nil }
      stepsUntilCheck = Self.stepsBetweenChecks
      do { try budget.check() } catch { exceeded = error }
      return exceeded == nil
    }
  }

  func encode(_ text: [UInt8], _ word: Range<Int>, into output: inout [Int32], _ scratch: inout Scratch) {
    guard scratch.goesOn(after: word.count) else { return }
    if takesWholeWords, let id = wholeWord(text, word, &scratch) { output.append(id); return }
    scratch.ids.removeAll(keepingCapacity: true)
    cut(text, word, into: &scratch.ids)
    if scratch.ids.count > 1 { join(&scratch, into: &output) } else { output.append(contentsOf: scratch.ids) }
  }

  private func wholeWord(_ text: [UInt8], _ word: Range<Int>, _ scratch: inout Scratch) -> Int32? {
    scratch.text.removeAll(keepingCapacity: true)
    if case .scalars = alphabet {
      scratch.text.append(contentsOf: text[word])
    } else {
      for byte in text[word] {
        let scalar = ByteAlphabet.scalars[Int(byte)].value  // at most U+0143: one or two bytes of UTF-8
        if scalar < 0x80 {
          scratch.text.append(UInt8(scalar))
        } else {
          scratch.text.append(UInt8(0xC0 | scalar >> 6))
          scratch.text.append(UInt8(0x80 | scalar & 0x3F))
        }
      }
    }
    return vocabulary.id(of: scratch.text[...])
  }

  private func cut(_ text: [UInt8], _ word: Range<Int>, into ids: inout [Int32]) {
    switch alphabet {
    case .bytes(let table):
      for byte in text[word] {
        let id = table[Int(byte)]
        if id >= 0 { ids.append(id) } else if let unknown { ids.append(unknown) }
      }
    case .scalars(let byteFallback):
      var index = word.lowerBound
      var endsUnknown = false
      while index < word.upperBound {
        let end = UTF8Text.end(of: text, scalarAt: index)
        defer { index = end }
        if let id = vocabulary.id(of: text[index..<end]) {
          ids.append(id)
          endsUnknown = false
        } else if let byteFallback, text[index..<end].allSatisfy({ byteFallback[Int($0)] >= 0 }) {
          for byte in text[index..<end] { ids.append(byteFallback[Int(byte)]) }
          endsUnknown = false
        } else if let unknown {
          if !(endsUnknown && fusesUnknown) { ids.append(unknown) }
          endsUnknown = true
        }
      }
    }
  }

  /// Joins within `scratch.ids`, a linked list over fixed places so that nothing moves: O(n log n).
  private func join(_ scratch: inout Scratch, into output: inout [Int32]) {
    let count = scratch.ids.count
    scratch.previous.removeAll(keepingCapacity: true)
    scratch.next.removeAll(keepingCapacity: true)
    scratch.queue.removeAll()
    for index in 0..<count {
      scratch.previous.append(Int32(index) - 1)
      scratch.next.append(index + 1 < count ? Int32(index) + 1 : -1)
    }
    for index in 0..<count - 1 {
      if let merge = merges.merge(scratch.ids[index], scratch.ids[index + 1]) {
        scratch.queue.insert(rank: merge.rank, place: Int32(index))
      }
    }
    while let (rank, place) = scratch.queue.popFirst() {
      guard scratch.goesOn(after: 1) else { return }
      let left = Int(place)
      let rightPlace = scratch.next[left]
      // What is queued may be out of date: the pair must still stand there (a rank names one pair).
      guard scratch.ids[left] >= 0, rightPlace >= 0 else { continue }
      let right = Int(rightPlace)
      guard let merge = merges.merge(scratch.ids[left], scratch.ids[right]), merge.rank == rank else { continue }
      scratch.ids[left] = merge.result
      scratch.ids[right] = -1
      let after = scratch.next[right]
      scratch.next[left] = after
      if after >= 0 {
        scratch.previous[Int(after)] = place
        if let merge = merges.merge(merge.result, scratch.ids[Int(after)]) {
          scratch.queue.insert(rank: merge.rank, place: place)
        }
      }
      let before = scratch.previous[left]
      if before >= 0, let merge = merges.merge(scratch.ids[Int(before)], merge.result) {
        scratch.queue.insert(rank: merge.rank, place: before)
      }
    }
    for id in scratch.ids where id >= 0 { output.append(id) }
  }
}

/// A binary heap of (rank, place): lowest rank first, of equal ranks the leftmost.
private struct RankQueue {
  private var heap: [UInt64] = []

  mutating func removeAll() { heap.removeAll(keepingCapacity: true) }

  mutating func insert(rank: Int32, place: Int32) {
    heap.append(UInt64(rank) << 32 | UInt64(place))
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child] < heap[parent] else { break }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  mutating func popFirst() -> (rank: Int32, place: Int32)? {
    guard let first = heap.first, let last = heap.popLast() else { return nil }
    if !heap.isEmpty {
      heap[0] = last
      var parent = 0
      while true {
        var child = parent * 2 + 1
        guard child < heap.count else { break }
        if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
        guard heap[child] < heap[parent] else { break }
        heap.swapAt(child, parent)
        parent = child
      }
    }
    return (Int32(first >> 32), Int32(truncatingIfNeeded: first))
  }
}
