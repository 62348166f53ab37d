import CPUKernels
import Crypto

/// SHA-256 (FIPS 180-4) of bytes that come in pieces. Two streams that have bytes at hand at the same time advance in
/// step, which costs a processor with SHA instructions little more than one alone; elsewhere the library computes.
@safe package final class DigestStream {
  private var state: [UInt32] = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
  ]
  /// The start of a block whose end has not come yet.
  private var tail: [UInt8] = []
  private var byteCount = 0
  private var library: SHA256?
  private static let blockBytes = 64
  /// Whether the processor lacks the instructions.
  package static let needsLibrary = !dk_has_sha256()

  /// - Parameter usesLibrary: For tests; otherwise the processor decides.
  package init(usesLibrary: Bool = DigestStream.needsLibrary) {
    tail.reserveCapacity(Self.blockBytes * 2)
    if usesLibrary { library = SHA256() }
  }

  package func update(_ bytes: UnsafeRawBufferPointer) {
    guard library == nil else {
      unsafe library?.update(bufferPointer: bytes)
      return
    }
    unsafe absorbWhole(completeTail(bytes))
  }

  /// Takes `a` into `first` and `b` into `second`; fastest where both have as many bytes.
  package static func update(_ first: DigestStream, _ a: UnsafeRawBufferPointer, _ second: DigestStream, _ b: UnsafeRawBufferPointer) {
    guard first.library == nil, second.library == nil else {
      unsafe first.update(a)
      unsafe second.update(b)
      return
    }
    let a = unsafe first.completeTail(a)
    let b = unsafe second.completeTail(b)
    let blocks = min(a.count, b.count) / blockBytes
    if blocks > 0, let dataA = a.baseAddress, let dataB = b.baseAddress {
      unsafe dk_sha256_pair(&first.state, dataA, &second.state, dataB, Int64(blocks))
    }
    unsafe first.absorbWhole(UnsafeRawBufferPointer(rebasing: a[(blocks * blockBytes)...]))
    unsafe second.absorbWhole(UnsafeRawBufferPointer(rebasing: b[(blocks * blockBytes)...]))
  }

  /// The digest in lower-case hexadecimal. The stream takes nothing more.
  package func finalize() -> String {
    if let library { return library.finalize().hexadecimal }
    let bits = UInt64(byteCount) * 8
    var end = tail
    end.append(0x80)
    while end.count % Self.blockBytes != Self.blockBytes - 8 { end.append(0) }
    for shift in stride(from: 56, through: 0, by: -8) { end.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift))) }
    tail = []
    unsafe end.withUnsafeBytes { unsafe compress($0) }
    return state.flatMap { word in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> $0) } }.hexadecimal
  }

  /// Fills up a block that was begun.
  ///
  /// - Returns: The bytes that were not needed for it.
  private func completeTail(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    byteCount += bytes.count
    guard !tail.isEmpty else { return unsafe bytes }
    let taken = min(bytes.count, Self.blockBytes - tail.count)
    unsafe tail.append(contentsOf: bytes[..<taken])
    if tail.count == Self.blockBytes {
      unsafe tail.withUnsafeBytes { unsafe compress($0) }
      tail.removeAll(keepingCapacity: true)
    }
    return unsafe UnsafeRawBufferPointer(rebasing: bytes[taken...])
  }

  /// All whole blocks; the rest begins the next one.
  private func absorbWhole(_ bytes: UnsafeRawBufferPointer) {
    let whole = bytes.count / Self.blockBytes * Self.blockBytes
    unsafe compress(UnsafeRawBufferPointer(rebasing: bytes[..<whole]))
    unsafe tail.append(contentsOf: bytes[whole...])
  }

  private func compress(_ blocks: UnsafeRawBufferPointer) {
    guard let data = blocks.baseAddress, blocks.count > 0 else { return }
    unsafe dk_sha256(&state, data, Int64(blocks.count / Self.blockBytes))
  }
}
