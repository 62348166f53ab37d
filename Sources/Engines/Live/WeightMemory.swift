#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// One weight in memory of its own, packed as an engine file holds it; given back when its last owner goes.
///
/// Written by whoever makes it, then only read. Versions of an engine's weights share those that are equal.
@safe public final class WeightMemory: @unchecked Sendable {  // written before it is handed on, never after
  /// As the engine stores the weight, packed.
  public let byteCount: Int
  /// What holds the bytes, where that is no host memory.
  public let device: (any DeviceWeight)?
  private let base: UnsafeMutableRawPointer?
  private let mappedByteCount: Int

  /// Zeros in host memory. - Throws: ``LiveWeightsError/outOfMemory(wanted:available:deletable:)`` where the system has no more.
  init(byteCount: Int) throws(LiveWeightsError) {
    self.byteCount = byteCount
    device = nil
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

  /// A weight that a device has made.
  public init(on device: any DeviceWeight) {
    byteCount = device.byteCount
    self.device = device
    unsafe base = nil
    mappedByteCount = 0
  }
  deinit { if let base = unsafe base { _ = unsafe munmap(base, mappedByteCount) } }

  /// First byte, page-aligned; valid as long as this object lives.
  ///
  /// - Precondition: ``device`` is nil.
  @unsafe public var baseAddress: UnsafeRawPointer {
    guard let base = unsafe base else { preconditionFailure("a weight on a device has no address here") }
    return UnsafeRawPointer(base)
  }

  var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: baseAddress, count: byteCount) }

  /// Puts bytes at an offset; only while nobody else has this object.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
    guard let source = bytes.baseAddress, let base = unsafe base else { return }
    precondition(offset >= 0 && offset + bytes.count <= byteCount)
    unsafe (base + offset).copyMemory(from: source, byteCount: bytes.count)
  }

  /// Copies some of its bytes, wherever they are.
  ///
  /// - Throws: What the device throws.
  public func copy(_ range: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    precondition(destination.count == range.count)
    if let device { return unsafe try device.copy(range, into: destination) }
    unsafe destination.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range]))
  }
}

extension WeightMemory {
  /// Whether both are host memory that holds the same bytes, or the same object.
  public func isEqual(to other: WeightMemory) -> Bool {
    if self === other { return true }
    guard device == nil, other.device == nil else { return false }
    return unsafe sameBytes(bytes, other.bytes)
  }
}
