import Inference
import Testing

@Suite struct BlockManagerTests {
  func allocate(_ manager: inout BlockManager) -> Int32? { manager.allocate() }
  func take(from manager: inout BlockManager) throws -> Int32 {
    let block = manager.allocate()
    return try #require(block)
  }

  @Test func `blocks are given out once and come back`() {
    var manager = BlockManager(blockCount: 3, blockTokens: 2)
    let table = (0..<3).compactMap { _ in manager.allocate() }
    #expect(Set(table) == [0, 1, 2])
    #expect(allocate(&manager) == nil)
    manager.release(table: table)
    #expect(manager.availableCount == 3)
    #expect(manager.evictableCount == 0)
  }

  @Test func `a released block is found again until it is needed, the least recently used going first`() throws {
    var manager = BlockManager(blockCount: 3, blockTokens: 2)
    var blocks: [Int32] = []
    for start in [10, 20, 30] as [Int32] {
      let block = try take(from: &manager)
      _ = manager.publish(block, [start, start + 1][...], after: .root)
      blocks.append(block)
    }
    for index in [1, 0, 2] { manager.release(blocks[index]) }
    #expect(manager.evictableCount == 3)
    // Using 20 again makes it the most recently used.
    manager.retain(blocks[1])
    manager.release(blocks[1])
    #expect(allocate(&manager) == blocks[0])
    #expect(manager.match([10, 11], maximumBlocks: 9).isEmpty)
    #expect(manager.match([20, 21], maximumBlocks: 9).map(\.block) == [blocks[1]])
    #expect(allocate(&manager) == blocks[2])
    #expect(allocate(&manager) == blocks[1])
    #expect(allocate(&manager) == nil)
  }

  @Test func `a chain is found as far as it goes, and only from its start`() throws {
    var manager = BlockManager(blockCount: 8, blockTokens: 2)
    var parent = PrefixIndex.Identity.root
    var table: [Int32] = []
    for tokens in [[1, 2], [3, 4], [1, 2]] as [[Int32]] {
      let block = try take(from: &manager)
      parent = manager.publish(block, tokens[...], after: parent).identity
      table.append(block)
    }
    #expect(manager.match([1, 2, 3, 4, 1, 2, 9], maximumBlocks: 9).map(\.block) == table)
    #expect(manager.match([1, 2, 3, 4, 1, 2, 9], maximumBlocks: 2).map(\.block) == Array(table.prefix(2)))
    #expect(manager.match([1, 2, 3, 5, 1, 2], maximumBlocks: 9).map(\.block) == Array(table.prefix(1)))
    #expect(manager.match([3, 4, 1, 2], maximumBlocks: 9).isEmpty)
    #expect(manager.match([1], maximumBlocks: 9).isEmpty)
  }

  @Test func `what followed an evicted block is not found through its successor`() throws {
    var manager = BlockManager(blockCount: 2, blockTokens: 1)
    let first = try take(from: &manager)
    let second = try take(from: &manager)
    let root = manager.publish(first, [1], after: .root)
    _ = manager.publish(second, [2], after: root.identity)
    // Against the usual order the start is evicted first.
    manager.release(first)
    let again = try take(from: &manager)
    #expect(again == first)
    _ = manager.publish(again, [1], after: .root)
    #expect(manager.match([1, 2], maximumBlocks: 9).map(\.block) == [first])
  }

  @Test func `a table's last block is evicted before its first`() throws {
    var manager = BlockManager(blockCount: 3, blockTokens: 1)
    var parent = PrefixIndex.Identity.root
    var table: [Int32] = []
    for token in [1, 2, 3] as [Int32] {
      let block = try take(from: &manager)
      parent = manager.publish(block, [token], after: parent).identity
      table.append(block)
    }
    manager.release(table: table)
    _ = manager.allocate()
    #expect(manager.match([1, 2, 3], maximumBlocks: 9).map(\.block) == Array(table.prefix(2)))
  }

  @Test func `publishing what is there already hands over the older block`() throws {
    var manager = BlockManager(blockCount: 3, blockTokens: 2)
    let first = try take(from: &manager)
    let second = try take(from: &manager)
    _ = manager.publish(first, [5, 6], after: .root)
    #expect(manager.publish(second, [5, 6], after: .root).block == first)
    #expect(manager.referenceCount(first) == 2)
    #expect(manager.availableCount == 2)
  }

  @Test func `forgetting frees what nobody holds and finds nothing`() throws {
    var manager = BlockManager(blockCount: 2, blockTokens: 1)
    let held = try take(from: &manager)
    let released = try take(from: &manager)
    _ = manager.publish(held, [1], after: .root)
    _ = manager.publish(released, [2], after: .root)
    manager.release(released)
    manager.forgetPrefixes()
    #expect(manager.match([1], maximumBlocks: 9).isEmpty && manager.match([2], maximumBlocks: 9).isEmpty)
    #expect(manager.evictableCount == 0 && manager.availableCount == 1)
    manager.release(held)
    #expect(manager.evictableCount == 0 && manager.availableCount == 2)
  }
}
