import CUDADriver
import Files
import Synchronization
import Threads

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Bytes that lie next to each other, and will on the card.
@safe struct UploadRun: Sendable {
  let byteCount: Int
  let address: dk_cuda_pointer
  /// Fills a buffer with the bytes from an offset on; from any thread.
  let read: @Sendable (_ offset: Int, _ buffer: UnsafeMutableRawBufferPointer) throws -> Void
  /// For errors.
  let name: String
}

/// Bytes that one buffer carries.
@safe struct UploadPiece {
  /// At most ``Upload/bufferByteCount``.
  let byteCount: Int
  let address: dk_cuda_pointer
  /// Fills a buffer of so many bytes.
  let read: (_ buffer: UnsafeMutableRawBufferPointer) throws -> Void
  /// For errors.
  let name: String
}

/// What is sent in pieces, by several threads at once, lowest first.
protocol UploadWork: Sendable {
  var pieceCount: Int { get }
  /// Called once for each piece, when there is a buffer for it.
  func piece(_ index: Int) throws -> UploadPiece
  /// Whether the place that a piece goes to is free.
  func isReady(_ index: Int) throws -> Bool
  /// A piece is on the card; from any thread.
  func arrived(_ index: Int) throws
}

extension UploadWork {
  func isReady(_ index: Int) throws -> Bool { true }
  func arrived(_ index: Int) throws {}
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
    /// More buffers than threads: those that are on their way, while each thread fills one.
    var moreBuffers = min(14, Processors.count)
    /// Of a buffer. Larger copies use the link better, but all buffers together are to stay in the processor's cache.
    var byteCount = Upload.bufferByteCount
  }
  static let bufferByteCount = 2 << 20
  private let device: Device
  private let shape: Shape
  /// Of all copies, so that they end in their order.
  private let stream: Stream
  /// Those that no thread has, the one that was sent first in front.
  private let buffers: Mutex<[UploadBuffer]>
  /// One upload at a time.
  private let turn = Mutex(())

  init(_ device: Device, _ shape: Shape = Shape()) throws(CUDAError) {
    (self.device, self.shape) = (device, shape)
    stream = try Stream(device)
    let count = shape.workers + shape.moreBuffers
    let memory = try PinnedMemory(device, byteCount: count * shape.byteCount)
    var buffers: [UploadBuffer] = []
    for index in 0..<count { buffers.append(try UploadBuffer(device, memory, offset: index * shape.byteCount)) }
    self.buffers = Mutex(buffers)
  }

  /// Returns when everything is on the card.
  ///
  /// - Parameter workers: At most so many threads.
  /// - Throws: ``CUDAError``, and what reading throws. Nothing is on its way then.
  func callAsFunction(_ runs: [UploadRun], workers: Int? = nil) throws { try send(RunsOnTheirWay(runs, pieceByteCount: shape.byteCount), workers: workers) }

  /// The same of pieces that may have to wait for their places.
  func send(_ work: any UploadWork, workers: Int? = nil) throws {
    let hasFailed = Atomic(false)
    let count = max(1, min(workers ?? shape.workers, shape.workers))
    try turn.withLock { _ in
      do {
        // As many threads as there may be, however few the pieces: one that waits for its place holds up no other.
        try Parallel.share(max(count, work.pieceCount), workers: count) { [self] take in
          do {
            try device.use()
            while let index = take(), index < work.pieceCount {
              try send(index, of: work) { hasFailed.load(ordering: .relaxed) }
            }
          } catch {
            hasFailed.store(true, ordering: .relaxed)
            throw error
          }
        }
        for buffer in buffers.withLock({ $0 }) { try buffer.settle(work) }
      } catch {
        try? stream.wait()
        for buffer in buffers.withLock({ $0 }) { buffer.forget() }
        throw error
      }
    }
  }

  /// - Parameter hasFailed: Another thread has, so that what is waited for may never come.
  private func send(_ index: Int, of work: any UploadWork, hasFailed: () -> Bool) throws {
    // What has arrived may free the place.
    while try !work.isReady(index) {
      if hasFailed() { return }  // its error is the one to be told
      if let oldest = takeSent() {
        defer { give(oldest, isFirst: true) }
        try oldest.settle(work)
      } else {
        _ = usleep(20)
      }
    }
    let buffer = take()
    defer { give(buffer, isFirst: false) }
    try buffer.settle(work)
    try unsafe buffer.fill(try work.piece(index), index) { bytes, piece, sent throws(CUDAError) in
      let result = order.withLock { _ -> Result<Void, CUDAError> in
        do throws(CUDAError) {
          try unsafe stream.copy(UnsafeRawBufferPointer(bytes), to: piece.address, piece.name)
          try stream.record(sent)
          return .success(())
        } catch { return .failure(error) }
      }
      try result.get()
    }
  }
  /// Held by who puts copies into the stream.
  private let order = Mutex(())

  private func take() -> UploadBuffer {
    while true {
      if let buffer = buffers.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return buffer }
      _ = usleep(20)
    }
  }
  /// The one that was sent first and has not settled.
  private func takeSent() -> UploadBuffer? {
    buffers.withLock { buffers in buffers.firstIndex { $0.isSent }.map { buffers.remove(at: $0) } }
  }
  private func give(_ buffer: UploadBuffer, isFirst: Bool) { buffers.withLock { $0.insert(buffer, at: isFirst ? 0 : $0.count) } }

  /// Copies from the card to host memory.
  func fetch(from address: dk_cuda_pointer, into destination: UnsafeMutableRawBufferPointer) throws(CUDAError) {
    try device.use()
    let result = turn.withLock { _ -> Result<Void, CUDAError> in
      let buffer = take()
      defer { give(buffer, isFirst: true) }
      do throws(CUDAError) {
        for piece in Self.pieces(destination.count, of: shape.byteCount) {
          unsafe try buffer.fetch(
            from: address + UInt64(piece.lowerBound), into: UnsafeMutableRawBufferPointer(rebasing: destination[piece]), stream)
        }
        return .success(())
      } catch {
        try? stream.wait()  // before memory goes
        return .failure(error)
      }
    }
    try result.get()
  }

  static func pieces(_ byteCount: Int, of size: Int) -> [Range<Int>] {
    stride(from: 0, to: byteCount, by: size).map { $0..<min(byteCount, $0 + size) }
  }
}

/// Runs in pieces of one size, each with a place of its own.
private struct RunsOnTheirWay: UploadWork {
  private let runs: [UploadRun]
  private let pieces: [(run: Int, range: Range<Int>)]

  init(_ runs: [UploadRun], pieceByteCount: Int) {
    self.runs = runs
    pieces = runs.indices.flatMap { run in Upload.pieces(runs[run].byteCount, of: pieceByteCount).map { (run, $0) } }
  }

  var pieceCount: Int { pieces.count }
  func piece(_ index: Int) -> UploadPiece {
    let (run, range) = (runs[pieces[index].run], pieces[index].range)
    return unsafe UploadPiece(
      byteCount: range.count, address: run.address + UInt64(range.lowerBound), read: { try unsafe run.read(range.lowerBound, $0) }, name: run.name)
  }
}

/// Host memory that the card reads, and the piece in it that may be on its way.
@safe private final class UploadBuffer: @unchecked Sendable {  // of one thread at a time
  private let memory: PinnedMemory
  private let offset: Int
  private let sent: Event
  private var piece: Int?

  init(_ device: Device, _ memory: PinnedMemory, offset: Int) throws(CUDAError) {
    (self.memory, self.offset) = (memory, offset)
    sent = try Event(device, sleeps: true)
  }

  /// - Parameter send: Puts the copy, and the event, into a stream.
  func fill(
    _ piece: UploadPiece, _ index: Int, send: (UnsafeMutableRawBufferPointer, UploadPiece, Event) throws(CUDAError) -> Void
  ) throws {
    let bytes = unsafe UnsafeMutableRawBufferPointer(start: memory.base + offset, count: piece.byteCount)
    try unsafe piece.read(bytes)
    try unsafe send(bytes, piece, sent)
    self.piece = index
  }

  var isSent: Bool { piece != nil }

  /// Waits until it can be filled again.
  func settle(_ work: any UploadWork) throws {
    guard let index = piece else { return }
    try sent.nap()
    piece = nil
    try work.arrived(index)
  }

  /// Whatever became of the piece.
  func forget() { piece = nil }

  func fetch(from address: dk_cuda_pointer, into destination: UnsafeMutableRawBufferPointer, _ stream: Stream) throws(CUDAError) {
    unsafe try stream.copy(from: address, byteCount: destination.count, to: memory.base + offset, "weights")
    try stream.wait()
    unsafe destination.copyMemory(from: UnsafeRawBufferPointer(start: memory.base + offset, count: destination.count))
  }
}
