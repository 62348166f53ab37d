/// Finds blocks by what they hold: a block's tokens and everything before them.
///
/// A block is known by its own tokens and the identity of the block before it, so looking up a prompt walks a chain of
/// hashes, one a block. Keys are compared in full: a hash collision costs time, never a wrong answer. Identities are
/// never used twice, so the children of a block that was evicted cannot be found through what takes its place.
package struct PrefixIndex: Sendable {
  /// What a block's successor knows it by.
  package struct Identity: Hashable, Sendable {
    fileprivate let number: UInt64
    /// Before the first block.
    package static let root = Identity(number: 0)
  }
  package struct Entry: Sendable {
    package let block: Int32
    package let identity: Identity
  }
  private struct Key: Hashable {
    let parent: Identity
    let tokens: [Int32]
  }

  private var entries: [Key: Entry] = [:]
  private var keys: [Int32: Key] = [:]
  private var lastIdentity: UInt64 = 0

  package init() {}

  package var count: Int { entries.count }
  package func holds(_ block: Int32) -> Bool { keys[block] != nil }
  package func find(_ tokens: ArraySlice<Int32>, after parent: Identity) -> Entry? {
    entries[Key(parent: parent, tokens: Array(tokens))]
  }

  /// Makes a block findable. It must not be, and no other block with this content either.
  package mutating func insert(_ block: Int32, _ tokens: ArraySlice<Int32>, after parent: Identity) -> Identity {
    let key = Key(parent: parent, tokens: Array(tokens))
    precondition(keys[block] == nil && entries[key] == nil, "block \(block) or its content is in the index already")
    lastIdentity += 1
    let identity = Identity(number: lastIdentity)
    entries[key] = Entry(block: block, identity: identity)
    keys[block] = key
    return identity
  }

  package mutating func remove(_ block: Int32) {
    guard let key = keys.removeValue(forKey: block) else { return }
    entries[key] = nil
  }

  package mutating func removeAll() {
    entries.removeAll()
    keys.removeAll()
  }
}
