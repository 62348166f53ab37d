/// Token strings and their ids, both ways.
///
/// Tokens are compared by their bytes: Swift's `String` holds two spellings of `é` equal, a vocabulary does not.
struct Vocabulary: Sendable {
  /// Ids at or above this are refused, so that a file cannot make us allocate at will.
  static let maximumID: Int32 = 1 << 22

  private var storage: [UInt8] = []
  /// Where each id's string lies in `storage`; an empty slot for an id that no token has.
  private var extents: [Range<Int>?] = []
  /// Open addressing: 0 is empty, otherwise id + 1. The count is a power of two, at most half full.
  private var slots: [Int32]
  private(set) var count = 0
  /// Whether tokens were refused because their places in the table are taken by more than chance explains: whoever wrote the
  /// file chose them so that reading takes for ever.
  private(set) var isCrowded = false
  /// Places that are looked at for one token. At most half of the table is full, so runs of a hundred are rare.
  static let longestRun = 1024
  /// Ids may leave holes, but tables have a place for each: how many are allowed grows with the file.
  let idBound: Int

  /// - Parameter capacity: How many tokens the file lists.
  init(capacity: Int) {
    idBound = min(Int(Self.maximumID), (1 << 16) + 8 * capacity)
    var size = 16
    while size < capacity * 2 { size *= 2 }
    slots = [Int32](repeating: 0, count: size)
    extents.reserveCapacity(capacity)
    storage.reserveCapacity(capacity * 8)
  }

  /// One more than the highest id.
  var idLimit: Int { extents.count }

  /// The string's UTF-8, or nil for an id that no token has.
  func bytes(of id: Int32) -> ArraySlice<UInt8>? {
    guard id >= 0, Int(id) < extents.count, let extent = extents[Int(id)] else { return nil }
    return storage[extent]
  }
  func string(of id: Int32) -> String? { bytes(of: id).map { String(decoding: $0, as: UTF8.self) } }

  func id(of token: String) -> Int32? { id(of: ArraySlice(Array(token.utf8))) }
  func id(of bytes: ArraySlice<UInt8>) -> Int32? {
    var slot = Self.hash(bytes) & (slots.count - 1)
    while slots[slot] != 0 {
      let id = slots[slot] - 1
      if let extent = extents[Int(id)], extent.count == bytes.count, storage[extent] == bytes { return id }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// Adds a token. False if its string or its id is taken by another, the id is out of range, or the table is crowded.
  mutating func insert(_ token: String, id: Int32) -> Bool {
    let start = storage.count
    storage.append(contentsOf: token.utf8)
    let extent = start..<storage.count
    let bytes = storage[extent]
    if let known = self.id(of: bytes) { storage.removeSubrange(extent); return known == id }
    guard id >= 0, id < idBound, self.bytes(of: id) == nil else { storage.removeSubrange(extent); return false }
    while extents.count <= Int(id) { extents.append(nil) }
    extents[Int(id)] = extent
    count += 1
    if count * 2 > slots.count { grow() } else { place(id, bytes) }
    return !isCrowded
  }

  private mutating func place(_ id: Int32, _ bytes: ArraySlice<UInt8>) {
    var slot = Self.hash(bytes) & (slots.count - 1)
    var run = 0
    while slots[slot] != 0 {
      slot = (slot + 1) & (slots.count - 1)
      run += 1
    }
    if run > Self.longestRun { isCrowded = true }
    slots[slot] = id + 1
  }
  private mutating func grow() {
    slots = [Int32](repeating: 0, count: slots.count * 2)
    for (id, extent) in extents.enumerated() {
      if let extent { place(Int32(id), storage[extent]) }
    }
  }

  /// FNV-1a, its high bits folded in, as a non-negative number.
  private static func hash(_ bytes: ArraySlice<UInt8>) -> Int {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return Int(truncatingIfNeeded: (hash ^ (hash >> 29)) & 0x7FFF_FFFF)
  }
}
