/// Who holds which block of the key/value cache.
///
/// A block is *unused* (nothing worth keeping), *held* (by one sequence, or by several that share a prefix), or
/// *evictable* (held by none, but a prompt may find its content again). Policy only: block ids, never a tensor.
///
/// Only blocks full of prompt tokens that were computed in prefill are made findable. Generated tokens are computed in
/// the decode phase, whose rounding differs: were their blocks found by another request's prompt, its answer would
/// depend on what ran before it.
package struct BlockManager: Sendable {
  package let blockCount: Int
  /// Tokens in a block.
  package let blockTokens: Int
  private var referenceCounts: [Int32]
  private var unused: [Int32]
  private var evictable: EvictionList
  private var index = PrefixIndex()

  package init(blockCount: Int, blockTokens: Int) {
    precondition(blockCount > 0 && blockTokens > 0, "a cache needs blocks, and blocks need tokens")
    self.blockCount = blockCount
    self.blockTokens = blockTokens
    referenceCounts = Array(repeating: 0, count: blockCount)
    unused = (0..<Int32(blockCount)).reversed()
    evictable = EvictionList(blockCount: blockCount)
  }

  /// Blocks that can be given out now.
  package var availableCount: Int { unused.count + evictable.count }
  /// Blocks that no sequence holds but that a prompt may find again.
  package var evictableCount: Int { evictable.count }
  package var heldCount: Int { blockCount - availableCount }
  package func referenceCount(_ block: Int32) -> Int { Int(referenceCounts[Int(block)]) }

  /// Blocks that `tokens` tokens occupy.
  package func blocks(forTokens tokens: Int) -> Int { (tokens + blockTokens - 1) / blockTokens }

  /// Gives out a block with one holder; forgets the least recently used content if nothing is unused.
  package mutating func allocate() -> Int32? {
    guard let block = unused.popLast() ?? evict() else { return nil }
    referenceCounts[Int(block)] = 1
    return block
  }

  /// Adds a holder to a block that is held or evictable.
  package mutating func retain(_ block: Int32) {
    if referenceCounts[Int(block)] == 0 { evictable.remove(block) }
    referenceCounts[Int(block)] += 1
  }

  package mutating func release(_ block: Int32) {
    precondition(referenceCounts[Int(block)] > 0, "block \(block) was released more often than it was held")
    referenceCounts[Int(block)] -= 1
    guard referenceCounts[Int(block)] == 0 else { return }
    if index.holds(block) { evictable.append(block) } else { unused.append(block) }
  }

  /// Gives back a sequence's blocks, last first: a block is then always evicted after those that are found through it.
  package mutating func release(table: [Int32]) {
    for block in table.reversed() { release(block) }
  }

  /// Blocks holding the start of a prompt, in order; nobody's holding changes.
  /// - Parameter maximumBlocks: Looks no further.
  package func match(_ promptIDs: ArraySlice<Int32>, maximumBlocks: Int) -> [PrefixIndex.Entry] {
    var found: [PrefixIndex.Entry] = []
    var start = promptIDs.startIndex
    while found.count < maximumBlocks, start + blockTokens <= promptIDs.endIndex {
      let parent = found.last?.identity ?? .root
      guard let entry = index.find(promptIDs[start..<start + blockTokens], after: parent) else { break }
      found.append(entry)
      start += blockTokens
    }
    return found
  }

  /// Makes a computed block findable. If another block holds the same content after the same start, the holder gets that
  /// one instead and gives up its own.
  /// - Parameters:
  ///   - block: Held by the caller; full of prompt tokens computed in prefill.
  ///   - parent: Identity of the block before it.
  /// - Returns: The block to use from now on, and its identity.
  package mutating func publish(
    _ block: Int32, _ tokens: ArraySlice<Int32>, after parent: PrefixIndex.Identity
  ) -> PrefixIndex.Entry {
    precondition(tokens.count == blockTokens && referenceCounts[Int(block)] > 0)
    if let twin = index.find(tokens, after: parent) {
      retain(twin.block)
      release(block)
      return twin
    }
    return .init(block: block, identity: index.insert(block, tokens, after: parent))
  }

  /// Forgets all content that could be found, as when weights change. Holders keep their blocks.
  package mutating func forgetPrefixes() {
    index.removeAll()
    while let block = evictable.removeFirst() { unused.append(block) }
  }

  private mutating func evict() -> Int32? {
    guard let block = evictable.removeFirst() else { return nil }
    index.remove(block)
    return block
  }
}
