#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Memory of one owner, aligned for vector loads. Its bytes are whatever they were: a large buffer takes memory from
/// the system only as it is written to.
@safe final class AlignedBuffer: @unchecked Sendable {  // its users agree on who writes where
  let base: UnsafeMutableRawPointer
  let byteCount: Int

  /// The system does not give so much address space, as where `ulimit -v` bounds it.
  struct NoMemory: Error {
    let byteCount: Int
  }

  /// - Throws: ``NoMemory``.
  init(reserving byteCount: Int) throws(NoMemory) {
    var address: UnsafeMutableRawPointer?
    guard byteCount >= 0, unsafe posix_memalign(&address, 64, max(64, byteCount)) == 0, let address = unsafe address else {
      throw NoMemory(byteCount: byteCount)
    }
    self.byteCount = byteCount
    unsafe base = address
  }
  /// A small one, without which nothing goes on.
  convenience init(byteCount: Int) {
    do { try self.init(reserving: byteCount) } catch { fatalError("No memory for \(byteCount) bytes.") }
  }
  convenience init(floats: Int) { self.init(byteCount: floats * MemoryLayout<Float>.stride) }
  deinit { unsafe free(base) }

  var floats: UnsafeMutablePointer<Float> { unsafe base.assumingMemoryBound(to: Float.self) }
}
