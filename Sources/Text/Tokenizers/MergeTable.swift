/// Which two neighbouring tokens join, in which order of preference, to which token.
struct MergeTable: Sendable {
  struct Merge: Sendable {
    /// Lower joins first.
    var rank: Int32
    var result: Int32
  }
  /// Open addressing over `left << 32 | right`; ids are not negative, so -1 marks an empty slot.
  private var keys: [Int64]
  private var merges: [Merge]

  init(capacity: Int) {
    var size = 16
    while size < capacity * 2 { size *= 2 }
    keys = [Int64](repeating: -1, count: size)
    merges = [Merge](repeating: Merge(rank: 0, result: 0), count: size)
  }

  /// Whether pairs lie closer together than chance explains; see ``Vocabulary/isCrowded``.
  private(set) var isCrowded = false

  /// - Precondition: No more insertions than the capacity.
  mutating func insert(_ left: Int32, _ right: Int32, _ merge: Merge) {
    let key = Self.key(left, right)
    var slot = slot(of: key)
    var run = 0
    while keys[slot] != -1 {
      // A pair listed twice: the later rank counts, as in Hugging Face's table.
      if keys[slot] == key { merges[slot] = merge; return }
      slot = (slot + 1) & (keys.count - 1)
      run += 1
    }
    if run > Vocabulary.longestRun { isCrowded = true }
    keys[slot] = key
    merges[slot] = merge
  }

  func merge(_ left: Int32, _ right: Int32) -> Merge? {
    let key = Self.key(left, right)
    var slot = slot(of: key)
    while keys[slot] != key {
      if keys[slot] == -1 { return nil }
      slot = (slot + 1) & (keys.count - 1)
    }
    return merges[slot]
  }

  private static func key(_ left: Int32, _ right: Int32) -> Int64 { Int64(left) << 32 | Int64(right) }
  private func slot(of key: Int64) -> Int {
    let mixed = UInt64(bitPattern: key) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: mixed >> 32) & (keys.count - 1)
  }
}
