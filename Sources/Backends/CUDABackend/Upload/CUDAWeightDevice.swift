import CUDADriver
import CUDAKernels
import Digests
import Engines
import Files
import Synchronization
import Threads
import WeightSources

/// A card that makes new weights of its engine: see ``MakingPlan``.
///
/// Kernels run on a stream of their own, which is less urgent than the steps', a little work at a time: a block that runs is not taken away.
final class CUDAWeightDevice: WeightDevice {
  private let device: Device
  private let upload: Upload
  private let kernels: Kernels
  private let engine: EngineFile
  private let file: FileWeights
  /// For rows, and for digests of those that are made already.
  private let stream: Stream, hashing: Stream
  /// Where chunks take turns; nil where each making takes memory for it.
  private let staging: DeviceMemory?
  /// One making at a time.
  private let turn = Mutex(())

  /// - Parameter keepsRoom: Memory is to be kept for new weights, so that for making them, too.
  init(
    _ device: Device, _ upload: Upload, _ kernels: Kernels, _ engine: EngineFile, _ file: FileWeights, sizes: MakingSizes, keepsRoom: Bool
  ) throws(CUDAError) {
    (self.device, self.upload, self.kernels, self.engine, self.file) = (device, upload, kernels, engine, file)
    self.sizes = sizes
    (stream, hashing) = (try Stream(device), try Stream(device))
    staging = keepsRoom ? try DeviceMemory(device, byteCount: sizes.places * sizes.chunk, for: "numbers on their way") : nil
  }
  private let sizes: MakingSizes

  func canMake(_ order: WeightOrder) -> Bool { MakingPlan.canMake(order) }

  func make(
    _ orders: [WeightOrder], workers: Int, progress: ProgressCounter?, isCancelled: @escaping @Sendable () -> Bool
  ) throws -> [DeviceMadeWeight] {
    guard !orders.isEmpty else { return [] }
    return try tellingOfMemory(orders.reduce(0) { $0 + $1.byteCount }) {
      let plan = MakingPlan(orders, sizes: sizes) { address(of: $0) }
      let making = try WeightMaking(
        orders, plan, device, upload, kernels, stream, hashing: hashing, staging: staging, workers: workers, progress: progress, isCancelled: isCancelled)
      return try making.run()
    }
  }

  /// One at a time, on this thread.
  private func tellingOfMemory<R>(_ wanted: Int, _ body: () throws -> R) throws -> R {
    try turn.withLock { _ in
      do {
        try device.use()
        return try body()
      } catch let error as CUDAError where error.isOutOfMemory {
        throw LiveWeightsError.outOfDeviceMemory(wanted: wanted, available: (try? device.freeByteCount) ?? 0, deletable: [])
      }
    }
  }

  /// Where the card has the same numbers, of the engine's file or of a version that it made.
  private func address(of numbers: StoredNumbers) -> UInt64? {
    guard let owner = numbers.owner else { return nil }
    if owner.object === engine { return file.address(owner.name) }
    guard let made = (owner.object as? WeightMemory)?.device as? CUDAMadeWeight, made.isOn(upload) else { return nil }
    return made.address
  }

  func digests(ofFileWeights names: [String]) throws -> [String] {
    let runs = names.map { (address: file.address($0), byteCount: engine.plan.weights[$0]?.stored.byteCount ?? 0) }
    return try tellingOfMemory(0) {
      let leaves = try LeafDigests([runs], device, kernels, hashing)
      do {
        try leaves.launch(0)
        return try leaves.digests(upload)
      } catch {
        try? hashing.wait()  // before memory goes
        throw error
      }
    }
  }
}

/// A weight that a card made, in memory that it shares with others which were made with it.
final class CUDAMadeWeight: DeviceWeight {
  let byteCount: Int
  let memory: DeviceMemory
  let offset: Int
  private let upload: Upload

  init(_ memory: DeviceMemory, offset: Int, byteCount: Int, _ upload: Upload) {
    (self.memory, self.offset, self.byteCount, self.upload) = (memory, offset, byteCount, upload)
  }

  var address: UInt64 { memory.address + UInt64(offset) }
  func isOn(_ upload: Upload) -> Bool { self.upload === upload }
  func copy(_ range: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    unsafe try upload.fetch(from: address + UInt64(range.lowerBound), into: destination)
  }
}
