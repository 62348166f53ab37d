import CUDADriver
import CUDAKernels
import Engines
import Files
import Synchronization
import Tensors
import Threads
import WeightSources

/// One run of ``CUDAWeightDevice``: numbers are sent in chunks, each is made into rows when it is there, and a group is hashed when
/// all of it is made.
final class WeightMaking: @unchecked Sendable {  // `stream` is used with `launching` held
  private let orders: [WeightOrder]
  private let plan: MakingPlan
  private let device: Device
  private let upload: Upload
  private let kernels: Kernels
  private let stream: Stream
  private let hashing: Stream
  private let workers: Int
  private let progress: ProgressCounter?
  private let isCancelled: @Sendable () -> Bool

  /// New weights, a memory a group.
  private let memories: [DeviceMemory]
  /// Where chunks take turns; nil where nothing is sent.
  private let staging: DeviceMemory?
  private let factors: LowRankMemory
  /// By weight: how many of its numbers are none.
  private let bad: DeviceMemory
  private let leaves: LeafDigests
  /// By place: the chunk that was there last is made.
  private let made: [Event]
  /// By group: all of it is made.
  private let whole: [Event]

  private struct State {
    /// Pieces of each chunk, and chunks of each group, that are still to come.
    var pieces: [Int]
    var chunks: [Int]
  }
  private let state: Mutex<State>
  private let launching = Mutex(())

  /// - Throws: ``CUDAError`` where memory does not suffice, and what reading an adapter throws.
  init(
    _ orders: [WeightOrder], _ plan: MakingPlan, _ device: Device, _ upload: Upload, _ kernels: Kernels, _ stream: Stream, hashing: Stream, staging: DeviceMemory?,
    workers: Int,
    progress: ProgressCounter?, isCancelled: @escaping @Sendable () -> Bool
  ) throws {
    (self.orders, self.plan, self.device, self.upload, self.kernels, self.stream) = (orders, plan, device, upload, kernels, stream)
    (self.workers, self.progress, self.isCancelled, self.hashing) = (workers, progress, isCancelled, hashing)
    memories = try plan.groups.map { group throws(CUDAError) in try DeviceMemory(device, byteCount: group.byteCount, for: "new weights", isPassing: true) }
    let places = min(plan.sizes.places, plan.chunks.count)
    let largest = plan.chunks.map(\.byteCount).max() ?? 0
    if let staging, staging.byteCount >= places * largest {
      self.staging = staging
    } else {
      self.staging = places == 0 ? nil : try DeviceMemory(device, byteCount: places * largest, for: "numbers on their way", isPassing: true)
    }
    placeByteCount = largest
    made = try (0..<places).map { _ throws(CUDAError) in try Event(device, sleeps: true) }
    whole = try plan.groups.map { _ throws(CUDAError) in try Event(device, sleeps: true) }
    state = Mutex(State(pieces: plan.chunks.map(\.pieceCount), chunks: plan.groups.map(\.chunkCount)))
    bad = try DeviceMemory(device, byteCount: 4 * orders.count, for: "counts", isPassing: true)
    factors = try LowRankMemory(orders, device, upload, workers: workers)
    let memories = memories
    leaves = try LeafDigests(
      plan.groups.indices.map { group in
        plan.groups[group].weights.map { (address: memories[group].address + UInt64(plan.places[$0].offset), byteCount: orders[$0].byteCount) }
      }, device, kernels, hashing)
  }
  private let placeByteCount: Int

  func run() throws -> [DeviceMadeWeight] {
    do {
      let zeros = [UInt32](repeating: 0, count: orders.count)
      try unsafe zeros.withUnsafeBytes { try unsafe stream.copy($0, to: bad.address, "counts") }
      for (index, group) in plan.groups.enumerated() {
        for (part, address) in group.resident {
          if isCancelled() { throw CancellationError() }
          try launch(part, numbers: address)
        }
        if group.chunkCount == 0 { try finish(index) }
      }
      if plan.pieces.count > 0 { try upload.send(self, workers: workers) }
      return try results()
    } catch {
      // Before memory goes.
      try? stream.wait()
      try? hashing.wait()
      throw error
    }
  }

  private func results() throws -> [DeviceMadeWeight] {
    let digests = try leaves.digests(upload)
    var counts = [UInt32](repeating: 0, count: orders.count)
    try unsafe counts.withUnsafeMutableBytes { try unsafe upload.fetch(from: bad.address, into: $0) }
    return orders.indices.map { weight in
      let place = plan.places[weight]
      return DeviceMadeWeight(
        CUDAMadeWeight(memories[place.group], offset: place.offset, byteCount: orders[weight].byteCount, upload), digest: digests[weight],
        nonFiniteCount: Int(counts[weight]))
    }
  }

  // MARK: Launches

  /// - Parameter numbers: Where the numbers of the part's source begin; of a part that was sent, the first that was.
  private func launch(_ part: MakingPlan.Part, numbers: UInt64) throws(CUDAError) {
    let order = orders[part.weight], program = order.program
    let place = plan.places[part.weight]
    let output = memories[place.group].address + UInt64(place.offset)
    let rows = part.rows, source = rows.numbers
    let isVector = source.shape.count == 1
    let firstRow = rows.firstRow - part.firstStored * source.unitRows
    let hasPanels = program.layout == .panel16x2
    // A vector is one row.
    let columns = isVector ? rows.rows.count : program.columns
    let elementBytes = UInt64(source.elementType.bitWidth / 8)
    let fills = hasPanels && rows.rows.upperBound == program.rowCount
    var argument = dk_make_arguments()
    argument.source = numbers + (isVector ? UInt64(firstRow) * elementBytes : 0)
    argument.output = output + (isVector ? UInt64(2 * rows.rows.lowerBound) : 0)
    argument.bad = bad.address + UInt64(4 * part.weight)
    argument.type = source.elementType == .bfloat16 ? Int32(DK_CUDA_BF16) : source.elementType == .float16 ? Int32(DK_CUDA_F16) : Int32(DK_CUDA_F32)
    argument.has_source_panels = source.layout == .rows ? 0 : 1
    argument.has_panels = hasPanels ? 1 : 0
    argument.source_row = isVector ? 0 : Int32(firstRow)
    argument.first_row = isVector ? 0 : Int32(rows.rows.lowerBound)
    argument.rows = isVector ? 1 : Int32(rows.rows.count)
    argument.zero_rows = fills ? Int32((16 - program.rowCount % 16) % 16) : 0
    argument.columns = Int32(columns)
    argument.rounds = rows.rounding == .bfloat16 && source.elementType != .bfloat16 ? 1 : 0
    (argument.adds_offset, argument.offset) = (rows.offset != 0 ? 1 : 0, rows.offset)
    (argument.adds_constant, argument.constant) = (program.constant != 0 ? 1 : 0, program.constant)
    argument.change_count = Int32(rows.additions.count)
    for (index, change) in rows.additions.enumerated() {
      let factor = factors.change(weight: part.weight, segment: part.segment, addition: index, firstRow: change.firstRow)
      switch index {
      case 0: argument.changes.0 = factor
      case 1: argument.changes.1 = factor
      case 2: argument.changes.2 = factor
      default: argument.changes.3 = factor
      }
    }
    let panels = (Int(argument.rows) + 31) / 16
    let strips = ((columns + 1) / 2 + Int(DK_CUDA_MAKE_THREADS) - 1) / Int(DK_CUDA_MAKE_THREADS)
    try stream.launch(kernels.make, grid: (min(4 * device.multiprocessors, panels * strips), 1, 1), threads: Int(DK_CUDA_MAKE_THREADS), argument)
  }

  private func finish(_ group: Int) throws(CUDAError) {
    try stream.record(whole[group])
    try leaves.launch(group, after: whole[group])
    progress?.add(plan.groups[group].weights.reduce(0) { $0 + orders[$1].byteCount })
  }

  private func place(of chunk: Int) -> UInt64 { (staging?.address ?? 0) + UInt64(chunk % max(1, made.count) * placeByteCount) }
}

extension WeightMaking: UploadWork {
  var pieceCount: Int { plan.pieces.count }

  func piece(_ index: Int) throws -> UploadPiece {
    if isCancelled() { throw CancellationError() }
    let piece = plan.pieces[index]
    let numbers = plan.chunks[piece.chunk].parts[piece.part].rows.numbers
    return unsafe UploadPiece(
      byteCount: piece.byteCount, address: place(of: piece.chunk) + UInt64(piece.place), read: { try unsafe numbers.read(piece.storedRows, $0) },
      name: orders[plan.chunks[piece.chunk].parts[piece.part].weight].name)
  }

  func isReady(_ index: Int) throws -> Bool {
    let before = plan.pieces[index].chunk - made.count
    guard before >= 0 else { return true }
    guard state.withLock({ $0.pieces[before] < 0 }) else { return false }
    return try made[before % made.count].isDone
  }

  func arrived(_ index: Int) throws {
    let chunk = plan.pieces[index].chunk
    let isWhole = state.withLock {
      $0.pieces[chunk] -= 1
      return $0.pieces[chunk] == 0
    }
    guard isWhole else { return }
    try launching.withLock { _ in
      for part in plan.chunks[chunk].parts { try launch(part, numbers: place(of: chunk) + UInt64(part.place)) }
      try stream.record(made[chunk % made.count])
      let group = plan.chunks[chunk].group
      let isLast = state.withLock {
        $0.pieces[chunk] = -1
        $0.chunks[group] -= 1
        return $0.chunks[group] == 0
      }
      if isLast { try finish(group) }
    }
  }
}
