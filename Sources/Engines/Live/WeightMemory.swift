#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// One weight in memory of its own, packed as an engine file holds it; given back to the system when its last owner goes.
///
/// Written by whoever makes it, then only read. Versions of an engine's weights share those that are equal.
@safe public final class WeightMemory: @unchecked Sendable {  // written before it is handed on, never after
  public let byteCount: Int
  private let base: UnsafeMutableRawPointer
  private let mappedByteCount: Int

  /// Zeros. - Throws: ``LiveWeightsError/outOfMemory(wanted:available:deletable:)`` where the system has no more.
  init(byteCount: Int) throws(LiveWeightsError) {
    self.byteCount = byteCount
    mappedByteCount = max(1, byteCount)
    // A mapping rather than the heap: what is freed leaves the process at once.
    let address = unsafe mmap(nil, mappedByteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let address = unsafe address, unsafe address != MAP_FAILED else {
      throw .outOfMemory(wanted: byteCount, available: nil, deletable: [])
    }
    unsafe base = address
    #if canImport(Glibc) || canImport(Musl)
      if byteCount >= 4 << 20 { _ = unsafe madvise(address, mappedByteCount, MADV_HUGEPAGE) }
    #endif
  }
  deinit { _ = unsafe munmap(base, mappedByteCount) }

  /// First byte, page-aligned; valid as long as this object lives.
  @unsafe public var baseAddress: UnsafeRawPointer { unsafe UnsafeRawPointer(base) }

  var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: base, count: byteCount) }

  /// Puts bytes at an offset; only while nobody else has this object.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
    guard let source = bytes.baseAddress else { return }
    precondition(offset >= 0 && offset + bytes.count <= byteCount)
    unsafe (base + offset).copyMemory(from: source, byteCount: bytes.count)
  }
}

extension WeightMemory {
  /// Whether both hold the same bytes.
  public func isEqual(to other: WeightMemory) -> Bool { self === other || (unsafe sameBytes(bytes, other.bytes)) }
}
