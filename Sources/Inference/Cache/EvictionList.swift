/// Blocks that no sequence uses but whose content may be wanted again, least recently used first.
///
/// A doubly linked list inside two arrays, so that taking a block out of the middle is O(1).
package struct EvictionList: Sendable {
  private var next: [Int32]
  private var previous: [Int32]
  package private(set) var count = 0
  /// Stands for both ends: the element after the last block.
  private let end: Int32

  package init(blockCount: Int) {
    end = Int32(blockCount)
    next = (0...Int32(blockCount)).map { $0 }
    previous = next
  }

  package func contains(_ block: Int32) -> Bool { next[Int(block)] != block }

  /// Adds a block as the most recently used.
  package mutating func append(_ block: Int32) {
    precondition(!contains(block), "block \(block) is in the eviction list already")
    let last = previous[Int(end)]
    next[Int(last)] = block
    previous[Int(block)] = last
    next[Int(block)] = end
    previous[Int(end)] = block
    count += 1
  }

  package mutating func remove(_ block: Int32) {
    precondition(contains(block), "block \(block) is not in the eviction list")
    let before = previous[Int(block)]
    let after = next[Int(block)]
    next[Int(before)] = after
    previous[Int(after)] = before
    next[Int(block)] = block
    previous[Int(block)] = block
    count -= 1
  }

  /// Takes out the least recently used block.
  package mutating func removeFirst() -> Int32? {
    guard count > 0 else { return nil }
    let first = next[Int(end)]
    remove(first)
    return first
  }
}
