import CSHA256

/// SHA-256 (FIPS 180-4) of bytes that come in pieces.
///
/// Processors with SHA instructions take 1.8 GB/s a stream, and two streams in step little longer than one; others
/// compute the same in plain C.
@safe package struct SHA256: Sendable {
  package static let blockByteCount = 64
  /// The words a to h; at the start those of section 5.3.3.
  private var state: [UInt32] = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
  ]
  /// The start of a block whose end has not come yet.
  private var tail: [UInt8] = []
  private var byteCount = 0
  private let usesInstructions: Bool

  package init() { self.init(usesInstructions: true) }

  /// - Parameter usesInstructions: Whether the processor's own instructions are used where it has them. The digest is
  ///   the same; for tests.
  package init(usesInstructions: Bool) {
    self.usesInstructions = usesInstructions && sha256_has_instructions()
    tail.reserveCapacity(Self.blockByteCount * 2)
  }

  package static func hash(_ bytes: [UInt8]) -> SHA256Digest {
    var hash = SHA256()
    hash.update(bytes)
    return hash.finalize()
  }

  package mutating func update(_ bytes: [UInt8]) {
    unsafe bytes.withUnsafeBytes { unsafe update($0) }
  }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    unsafe absorb(completeTail(bytes))
  }

  /// Takes `a` into `first` and `b` into `second`; fastest where both have as many bytes.
  package static func update(
    _ first: inout SHA256, _ a: UnsafeRawBufferPointer, _ second: inout SHA256, _ b: UnsafeRawBufferPointer
  ) {
    let a = unsafe first.completeTail(a)
    let b = unsafe second.completeTail(b)
    let blocks = first.usesInstructions == second.usesInstructions ? min(a.count, b.count) / blockByteCount : 0
    if blocks > 0, let dataA = a.baseAddress, let dataB = b.baseAddress {
      unsafe sha256_compress_pair(first.usesInstructions, &first.state, dataA, &second.state, dataB, Int64(blocks))
    }
    unsafe first.absorb(UnsafeRawBufferPointer(rebasing: a[(blocks * blockByteCount)...]))
    unsafe second.absorb(UnsafeRawBufferPointer(rebasing: b[(blocks * blockByteCount)...]))
  }

  /// The digest of all bytes so far.
  package func finalize() -> SHA256Digest {
    var copy = self
    let bits = UInt64(byteCount) * 8
    var end = tail
    end.append(0x80)
    while end.count % Self.blockByteCount != Self.blockByteCount - 8 { end.append(0) }
    for shift in stride(from: 56, through: 0, by: -8) { end.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift))) }
    unsafe end.withUnsafeBytes { unsafe copy.compress($0) }
    return SHA256Digest(bytes: copy.state.flatMap { word in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> $0) } })
  }

  /// Fills up a block that was begun.
  ///
  /// - Returns: The bytes that were not needed for it.
  private mutating func completeTail(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    byteCount += bytes.count
    guard !tail.isEmpty else { return unsafe bytes }
    let taken = min(bytes.count, Self.blockByteCount - tail.count)
    unsafe tail.append(contentsOf: bytes[..<taken])
    if tail.count == Self.blockByteCount {
      unsafe tail.withUnsafeBytes { unsafe compress($0) }
      tail.removeAll(keepingCapacity: true)
    }
    return unsafe UnsafeRawBufferPointer(rebasing: bytes[taken...])
  }

  /// All whole blocks; the rest begins the next one.
  private mutating func absorb(_ bytes: UnsafeRawBufferPointer) {
    let whole = bytes.count / Self.blockByteCount * Self.blockByteCount
    unsafe compress(UnsafeRawBufferPointer(rebasing: bytes[..<whole]))
    unsafe tail.append(contentsOf: bytes[whole...])
  }

  private mutating func compress(_ blocks: UnsafeRawBufferPointer) {
    guard let data = blocks.baseAddress, blocks.count > 0 else { return }
    unsafe sha256_compress(usesInstructions, &state, data, Int64(blocks.count / Self.blockByteCount))
  }
}
