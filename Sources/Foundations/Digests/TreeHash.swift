/// A SHA-256 tree over bytes that come in pieces: ``digest(of:)`` of at most 64 KiB is their SHA-256, and that of more is the
/// digest of the SHA-256 of each 64 KiB, one after the other.
///
/// So leaves are hashed side by side on any processor or device, a part can be checked alone by who keeps the leaves, and two lists of
/// leaves name what changed. How many levels there are follows from the number of bytes, which whoever compares
/// digests knows; a digest of leaves can stand for no other bytes of that number.
@safe package struct TreeHash: Sendable {
  /// Bytes of a leaf.
  package static let leafByteCount = 64 << 10

  /// Digests of whole leaves, one after the other.
  private var leaves: [UInt8] = []
  /// The leaf that was begun, and its bytes so far.
  private var leaf = SHA256()
  private var filled = 0

  package init() {}

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    var rest = unsafe bytes
    if filled > 0 { unsafe rest = fill(rest) }
    // Two leaves in step take little longer than one.
    while unsafe rest.count >= 2 * Self.leafByteCount {
      var (first, second) = (SHA256(), SHA256())
      unsafe SHA256.update(
        &first, UnsafeRawBufferPointer(rebasing: rest[..<Self.leafByteCount]),
        &second, UnsafeRawBufferPointer(rebasing: rest[Self.leafByteCount..<2 * Self.leafByteCount]))
      leaves += first.finalize().bytes + second.finalize().bytes
      unsafe rest = UnsafeRawBufferPointer(rebasing: rest[(2 * Self.leafByteCount)...])
    }
    while unsafe !rest.isEmpty { unsafe rest = fill(rest) }
  }

  /// Adds to the leaf that was begun.
  ///
  /// - Returns: The bytes that are of the next.
  private mutating func fill(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    let count = unsafe min(bytes.count, Self.leafByteCount - filled)
    unsafe leaf.update(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
    filled += count
    if filled == Self.leafByteCount {
      leaves += leaf.finalize().bytes
      leaf = SHA256()
      filled = 0
    }
    return unsafe UnsafeRawBufferPointer(rebasing: bytes[count...])
  }

  /// The digest of all bytes so far.
  package func finalize() -> SHA256Digest {
    if leaves.isEmpty { return leaf.finalize() }
    let all = filled == 0 ? leaves : leaves + leaf.finalize().bytes
    return Self.digest(ofLeaves: all)
  }

  /// - Parameter leaves: SHA-256 of each leaf, 32 bytes each, one after the other.
  package static func digest(ofLeaves leaves: [UInt8]) -> SHA256Digest {
    if leaves.count == SHA256Digest.byteCount { return SHA256Digest(bytes: leaves) }
    return unsafe leaves.withUnsafeBytes { bytes in unsafe digest(of: bytes) }
  }

  package static func digest(of bytes: UnsafeRawBufferPointer) -> SHA256Digest {
    var tree = TreeHash()
    unsafe tree.update(bytes)
    return tree.finalize()
  }
}
