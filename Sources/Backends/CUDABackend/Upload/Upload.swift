import CUDADriver
import Files
import Synchronization
import Threads

/// Bytes that lie next to each other, and will on the card.
@safe struct UploadRun: Sendable {
  let byteCount: Int
  let address: dk_cuda_pointer
  /// Fills a buffer with the bytes from an offset on; from any thread.
  let read: @Sendable (_ offset: Int, _ buffer: UnsafeMutableRawBufferPointer) throws -> Void
  /// For errors.
  let name: String
}

/// The way of host memory to a card, as fast as the link carries it: threads copy into pinned buffers, which the card reads.
///
/// From ordinary memory the driver copies with one thread, at a sixth of that. To register the memory, so that the card reads it by
/// itself, spares the threads, but the driver registers and takes back at some 10 GB/s, whatever the number of threads, and steps
/// that run beside it wait for a quarter of a second.
final class Upload: Sendable {
  /// How the work is shared out; see docs/cuda.md for what was measured.
  struct Shape {
    var workers = min(14, Processors.count)
    /// Buffers of each thread: one is filled while the others are on their way.
    var lanes = 2
    var byteCount = 2 << 20
  }
  private let device: Device
  private let shape: Shape
  private let lanes: [[UploadLane]]
  /// One upload at a time.
  private let turn = Mutex(())

  init(_ device: Device, _ shape: Shape = Shape()) throws(CUDAError) {
    (self.device, self.shape) = (device, shape)
    let buffers = try PinnedMemory(device, byteCount: shape.workers * shape.lanes * shape.byteCount)
    var lanes: [[UploadLane]] = []
    for worker in 0..<shape.workers {
      let stream = try Stream(device)
      var mine: [UploadLane] = []
      for lane in 0..<shape.lanes {
        mine.append(try UploadLane(device, stream, buffers, offset: (worker * shape.lanes + lane) * shape.byteCount))
      }
      lanes.append(mine)
    }
    self.lanes = lanes
  }

  /// Returns when everything is on the card.
  ///
  /// - Throws: ``CUDAError``, and what reading throws. Nothing is on its way then.
  func callAsFunction(_ runs: [UploadRun]) throws {
    let pieces = runs.indices.flatMap { run in Self.pieces(runs[run].byteCount, of: shape.byteCount).map { (run, $0) } }
    let next = Atomic(0)
    let (device, lanes) = (device, lanes)
    try turn.withLock { _ in
      try Parallel.forEach(lanes.count, workers: lanes.count) { worker in
        try device.use()
        do {
          var step = 0
          while true {
            let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard index < pieces.count else { break }
            try lanes[worker][step % lanes[worker].count].copy(runs[pieces[index].0], pieces[index].1)
            step += 1
          }
          for lane in lanes[worker] { try lane.wait() }
        } catch {
          next.store(pieces.count, ordering: .relaxed)  // the others stop, too
          for lane in lanes[worker] { try? lane.wait() }
          throw error
        }
      }
    }
  }

  static func pieces(_ byteCount: Int, of size: Int) -> [Range<Int>] {
    stride(from: 0, to: byteCount, by: size).map { $0..<min(byteCount, $0 + size) }
  }
}

/// A buffer of one thread, and its copy that may be on its way.
@safe private final class UploadLane: @unchecked Sendable {  // of one thread at a time
  private let stream: Stream
  private let buffers: PinnedMemory
  private let offset: Int
  private let sent: Event

  init(_ device: Device, _ stream: Stream, _ buffers: PinnedMemory, offset: Int) throws(CUDAError) {
    (self.stream, self.buffers, self.offset) = (stream, buffers, offset)
    sent = try Event(device, sleeps: true)
  }

  func copy(_ run: UploadRun, _ piece: Range<Int>) throws {
    try wait()
    let buffer = unsafe UnsafeMutableRawBufferPointer(start: buffers.base + offset, count: piece.count)
    try unsafe run.read(piece.lowerBound, buffer)
    try unsafe stream.copy(UnsafeRawBufferPointer(buffer), to: run.address + UInt64(piece.lowerBound), run.name)
    try stream.record(sent)
  }
  /// Until the buffer can be filled again.
  func wait() throws(CUDAError) { try sent.wait() }
}
