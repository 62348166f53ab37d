import Synchronization

/// Buffers that tiles are worked on in, lent and taken back: as many as are in use at once, each as large as was asked for.
///
/// A source is read by tiles, tens of thousands of them, by a few workers; so nothing is allocated for a tile.
public final class ScratchPool: Sendable {
  @safe private struct Buffer: @unchecked Sendable {  // lent to one caller at a time
    let bytes: UnsafeMutableRawBufferPointer
  }
  private let free = Mutex<[Buffer]>([])

  /// Holds nothing before the first buffer is lent.
  public init() {}
  deinit { free.withLock { for buffer in $0 { unsafe buffer.bytes.deallocate() } } }

  /// Lends at least `count` bytes, aligned to 64, for the time of `body`; their content is whatever it was.
  public func with<Result>(_ count: Int, _ body: (UnsafeMutableRawBufferPointer) throws -> Result) rethrows -> Result {
    var buffer = free.withLock { $0.popLast() }
    if let small = buffer, unsafe small.bytes.count < count {
      unsafe small.bytes.deallocate()
      buffer = nil
    }
    let lent = unsafe buffer ?? Buffer(bytes: .allocate(byteCount: count, alignment: 64))
    defer { free.withLock { $0.append(lent) } }
    return unsafe try body(UnsafeMutableRawBufferPointer(rebasing: lent.bytes[0..<count]))
  }
}
