import CUDADriver
import CUDAKernels
public import Engines
public import Execution
import Files
import Networks
import Synchronization
public import Tensors
import Threads

/// An engine on an NVIDIA card.
///
/// A step is a list of kernel launches on one stream, behind one copy of what the host knows of the batch. Decode steps of a shape
/// that was seen before are launched as one graph.
@safe public final class CUDAEngine: OpenedEngine, @unchecked Sendable {  // one step at a time, by contract of `Executor`
  public let limits: ExecutorLimits
  public let cacheElementType: ElementType
  public let cacheByteCount: Int
  public let memoryWarnings: [String]
  private let plan: Plan
  private let device: Device
  private let stream: Stream
  private let kernels: Kernels
  private let launcher: StepLauncher
  /// Records steps beside running ones.
  private let recorder: StepLauncher
  private let versions: VersionUpload
  private let maker: CUDAWeightDevice
  private let recent = Mutex(RecentShapes())
  private let partialLimit: Int
  private let tileHeads: Int
  private let file: FileWeights
  private let weightsOfFile: CUDAWeights
  /// Changes between two steps only.
  private var inUse: CUDAWeights
  /// Words of a batch on their way to the card, and logits or tokens on their way back.
  private let sent: PinnedMemory
  private let received: PinnedMemory

  /// - Throws: ``EngineError`` for a stripped engine, one for another target, where there is no card, and where its memory does not suffice;
  ///   ``CUDAError``.
  init(_ engine: EngineDirectory, options: ExecutorOptions, kernels cache: KernelCache, making: MakingSizes) throws {
    guard let first = engine.ranks.first else { throw EngineError(engine.path, .noEngine) }
    for file in engine.ranks {
      guard file.plan.target == CUDA.name else {
        throw EngineError(file.path, .unsupported(reason: "built for \"\(file.plan.target)\", not for \"\(CUDA.name)\""))
      }
      let obstacles = CUDALimits.obstacles(to: file.plan)
      guard obstacles.isEmpty else { throw EngineError(file.path, .unsupported(reason: obstacles.joined(separator: "; "))) }
      guard !file.isStripped else { throw EngineError(engine.path, .stripped(missing: file.missingWeights)) }
    }
    let plan = first.plan
    let device = try CUDA.device(for: engine.path)
    let stream = try Stream(device, isUrgent: true)
    let sizes = CUDASizes(plan, options: options)
    let file: FileWeights
    let buffers: StepBuffers
    var cacheBlocks = 0
    let wantedRoom: Int
    do {
      file = try FileWeights(first, device)
      let upload = try Upload(device)
      let loader = KernelLoader(
        device: device, headSize: plan.cache.headSize, engine: first, usesArtifacts: options.usesArtifacts, cache: cache)
      kernels = try Self.load(file, upload, loader, device)
      versions = VersionUpload(device, upload)
      wantedRoom = options.weightRoom.byteCount(of: file)
      maker = try CUDAWeightDevice(device, upload, kernels, first, file, sizes: making, keepsRoom: wantedRoom > 0)
      let kept = wantedRoom == 0 ? 0 : wantedRoom + Self.spared
      buffers = try StepBuffers(plan, sizes, device) { free in
        cacheBlocks = try sizes.cacheBlocks(plan.cache, free: free, kept: kept, options: options, path: engine.path)
        return cacheBlocks
      }
    } catch let error as CUDAError where error.isOutOfMemory {
      throw EngineError(engine.path, .unsupported(reason: "does not fit the memory of \(device.name): \(error). Lower --max_num_tokens."))
    }
    let zeros = [UInt8](repeating: 0, count: buffers.counts.byteCount)
    try unsafe zeros.withUnsafeBytes { try unsafe stream.copy($0, to: buffers.counts.address, "zeros") }
    limits = ExecutorLimits(
      vocabularySize: plan.vocabularySize, maximumSequenceLength: sizes.steps.sequenceLength, maximumBatchRows: sizes.steps.rows,
      maximumSequences: sizes.steps.sequences, maximumLogitRows: sizes.steps.logitRows, cacheBlockTokens: Int(DK_CUDA_BLOCK_TOKENS), cacheBlockCount: cacheBlocks)
    cacheElementType = plan.cache.elementType
    cacheByteCount = plan.cache.layers * plan.cache.layerBlockByteCount * cacheBlocks
    partialLimit = sizes.partials
    let groups = plan.operations.compactMap { if case .attention(let attention) = $0 { attention.tileHeads } else { nil } }
    tileHeads = groups.max() ?? 1
    sent = try PinnedMemory(device, byteCount: buffers.inputs.byteCount)
    logitsWidth = plan.operations.last?.uses.writes.first.map { plan.values[$0.index].width } ?? plan.vocabularySize
    received = try PinnedMemory(device, byteCount: 4 * sizes.steps.logitRows * logitsWidth)
    weightsOfFile = CUDAWeights(plan, file: file)
    inUse = weightsOfFile
    launcher = StepLauncher(plan, device, stream, kernels, buffers)
    recorder = StepLauncher(plan, device, try Stream(device, isUrgent: true), kernels, buffers)
    let room = try max(0, device.freeByteCount - Self.spared)
    memoryWarnings =
      room >= wantedRoom
      ? []
      : [
        "\(device.name) has \(room / 1_000_000) MB left for new weights, and a whole copy takes \(wantedRoom / 1_000_000) MB: "
          + "larger changes of weights will be refused. Lower --max_seq_len or --max_batch_size."
      ]
    (self.plan, self.device, self.stream, self.file) = (plan, device, stream, file)
  }

  // MARK: Weights

  /// The weights of the engine's file, copied to the card when the engine was opened.
  public var fileWeights: any WeightVersion { weightsOfFile }

  /// What makes weights in the card's memory, by the plan's recipes.
  public var weightDevice: (any WeightDevice)? { maker }

  /// Bytes of the card's memory that are free now, less what the driver needs; nil where the card does not say.
  public var freeWeightByteCount: Int? { try? device.use(); return try? max(0, device.freeByteCount - Self.spared) }
  /// Of the card's memory, for what the driver keeps of recorded steps.
  private static let spared = 128 << 20

  /// - Precondition: Weights for one rank, each as the plan stores it.
  public func makeVersion(_ made: [[String: WeightMemory]]) throws -> any WeightVersion {
    precondition(made.count == 1, "weights for one rank")
    for (name, memory) in made[0] { precondition(memory.byteCount == plan.weights[name]?.stored.byteCount, "\(name): made by the plan's recipe") }
    try device.use()
    do {
      let version = CUDAWeights(plan, file: file, made: try versions(made[0]))
      versions.add(version)
      return version
    } catch let error as CUDAError where error.isOutOfMemory {
      throw LiveWeightsError.outOfDeviceMemory(
        wanted: made[0].values.reduce(0) { $0 + $1.byteCount }, available: freeWeightByteCount ?? 0, deletable: [])
    }
  }

  /// Records the steps that are being launched with its addresses, so that the first one with it takes no longer than others.
  public func makeReady(_ version: any WeightVersion) throws {
    guard let version = version as? CUDAWeights else { preconditionFailure("weights of another engine") }
    try device.use()
    for shape in recent.withLock({ $0.shapes }) where version[shape] == nil {
      // What stands in the words does not matter: they are copied to the card before each step.
      let slices = (0..<shape.rows).map {
        SequenceSlice(rows: $0..<$0 + 1, firstPosition: 0, blockTable: [0], phase: .decode, wantsLogits: true)
      }
      let inputs = StepInputs(
        Batch(tokens: Array(repeating: 0, count: shape.rows), sequences: slices), tileHeads: tileHeads, partialLimit: partialLimit)
      let graph = try recorder.stream.record { () throws(CUDAError) in try launch(inputs, version, splits: shape.splits, by: recorder) }
      try recorder.stream.upload(graph)
      _ = version.keep(graph, for: shape)
    }
  }

  /// A pointer changes: addresses stand in what is launched.
  public func activate(_ version: any WeightVersion) {
    guard let version = version as? CUDAWeights else { preconditionFailure("weights of another engine") }
    precondition(begun == nil, "weights changed while a step is unfinished")
    inUse = version
  }

  // MARK: Steps

  private struct Begun {
    let step: StepID
    let sequences: [SequenceSlice]
    let hasLogits: Bool
    /// Kept alive until the card is done with them.
    let weights: CUDAWeights
  }
  private let logitsWidth: Int
  private var begun: Begun?
  private var stepCount: UInt64 = 0

  private let lost = Mutex<String?>(nil)
  public var failure: String? { lost.withLock { $0 } }

  public func submit(_ batch: Batch) throws -> StepID {
    try batch.check(limits)
    precondition(begun == nil, "the step before was not finished")
    return try noticingLoss { try begin(batch) }
  }

  /// After an error nothing is under way, and it is known whether steps can still succeed: a card that has failed says so to every
  /// call from then on, and this process cannot use it any more.
  private func noticingLoss<R>(_ body: () throws -> R) throws -> R {
    if let failure { throw CUDAError(failure) }
    do { return try body() } catch {
      do { try stream.wait() } catch let wait {
        let text = "\(device.name) has failed, so nothing can be answered any more. Restart the program. \(wait)"
        lost.withLock { $0 = text }
        throw CUDAError(text)
      }
      throw error
    }
  }

  private func begin(_ batch: Batch) throws -> StepID {
    try device.use()
    try launcher.buffers.rotary?.reach(batch, stream)
    let inputs = StepInputs(
      batch, tileHeads: tileHeads, partialLimit: partialLimit, promptQueries: kernels.attendPrompt == nil ? nil : Int(DK_CUDA_PROMPT_QUERIES))
    let bytes = inputs.words.count * 4
    unsafe inputs.words.withUnsafeBytes { unsafe sent.base.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(sent.base), byteCount: bytes) }
    unsafe try stream.copy(UnsafeRawBufferPointer(start: sent.base, count: bytes), to: launcher.buffers.inputs.address, "tokens")
    let weights = inUse
    if let shape = StepShape(batch, inputs) {
      recent.withLock { $0.note(shape) }
      try stream.launch(try graph(shape, inputs, weights))
    } else {
      try launch(inputs, weights, splits: 0, by: launcher)
    }
    let wantsMore = batch.sequences.contains { $0.wantsLogits && $0.wanted != .token }
    if inputs.selectedCount > 0 {
      if wantsMore {
        unsafe try stream.copy(from: logits, byteCount: 4 * inputs.selectedCount * logitsWidth, to: received.base, "logits")
      } else {
        unsafe try stream.copy(from: launcher.buffers.chosen.address, byteCount: 4 * inputs.selectedCount, to: received.base, "tokens")
      }
    }
    stepCount += 1
    begun = Begun(step: StepID(stepCount), sequences: batch.sequences, hasLogits: wantsMore, weights: weights)
    return StepID(stepCount)
  }

  /// All logits of every row where any row wants more than a token.
  public func finish(_ step: StepID, _ answer: (_ sequence: Int, _ answer: RowAnswer) -> Void) throws {
    guard let begun, begun.step == step else { preconditionFailure("step \(step.number) was not begun, or is finished") }
    self.begun = nil
    try noticingLoss {
      try device.use()
      try stream.wait()
    }
    var row = 0
    for (index, slice) in begun.sequences.enumerated() {
      for _ in 0..<slice.logitRows {
        if begun.hasLogits {
          let start = unsafe received.base.assumingMemoryBound(to: Float.self) + row * logitsWidth
          answer(index, .all(unsafe Logits(UnsafeMutableBufferPointer(start: start, count: limits.vocabularySize))))
        } else {
          answer(index, .token(unsafe received.base.assumingMemoryBound(to: Int32.self)[row]))
        }
        row += 1
      }
    }
  }

  private var logits: UInt64 {
    guard let value = plan.operations.last?.uses.writes.first else { return 0 }
    return launcher.buffers.slots[plan.slots.slot[value.index]].address
  }

  /// The kernels of a step: those of the plan, then the choice of a token for each row that wants an answer.
  private func launch(_ inputs: StepInputs, _ weights: CUDAWeights, splits: Int, by launcher: StepLauncher) throws(CUDAError) {
    try launcher.launch(weights.steps, inputs, splits: splits)
    guard inputs.selectedCount > 0 else { return }
    let argument = dk_choose_arguments(
      logits: logits, chosen: launcher.buffers.chosen.address, vocabulary: Int32(limits.vocabularySize), stride: Int32(logitsWidth))
    try launcher.stream.launch(kernels.choose, grid: (inputs.selectedCount, 1, 1), threads: 1024, argument)
  }

  private func graph(_ shape: StepShape, _ inputs: StepInputs, _ weights: CUDAWeights) throws -> Graph {
    if let graph = weights[shape] { return graph }
    return weights.keep(
      try stream.record { () throws(CUDAError) in try launch(inputs, weights, splits: shape.splits, by: launcher) }, for: shape)
  }

  /// Weights and kernels, at the same time: a link and a processor are busy.
  private static func load(_ file: FileWeights, _ upload: Upload, _ loader: KernelLoader, _ device: Device) throws -> Kernels {
    let loaded = Mutex<Kernels?>(nil)
    try Parallel.forEach(2, workers: 2) { part in
      try device.use()
      guard part == 1 else { return try file.load(upload) }
      let kernels = try loader.kernels()
      loaded.withLock { $0 = kernels }
    }
    guard let kernels = loaded.withLock({ $0 }) else { throw CUDAError("no kernels") }
    return kernels
  }

  // MARK: What a step reads

  public func bytesRead(_ batch: Batch) -> Int? {
    let positions = batch.sequences.reduce(0) { $0 + $1.firstPosition + $1.rows.count }
    return stepWeightByteCount + positions * plan.cache.layers * plan.cache.layerBlockByteCount / Int(DK_CUDA_BLOCK_TOKENS)
  }

  /// Of weights that every step reads in full.
  private var stepWeightByteCount: Int {
    var names: Set<String> = []
    for operation in plan.operations {
      if case .embed = operation { continue }
      names.formUnion(operation.weightNames)
    }
    return names.reduce(0) { $0 + (plan.weights[$1]?.stored.byteCount ?? 0) }
  }

  /// The best of a few passes over the weights, at most 4 GB of them.
  public func measureReadRate() -> Double? {
    let count = min(file.memory.byteCount, 4 << 30) / 16
    let argument = dk_read_arguments(words: file.memory.address, result: launcher.buffers.chosen.address, count: UInt64(count))
    do {
      try device.use()
      var best = Double.infinity
      for pass in 0..<5 {
        let time = try stream.time { () throws(CUDAError) in
          try stream.launch(kernels.read, grid: (2 * device.multiprocessors, 1, 1), threads: 1024, argument)
        }
        if pass > 0 { best = min(best, time) }
      }
      return Double(16 * count) / best
    } catch { return nil }
  }
}

extension WeightRoom {
  fileprivate func byteCount(of file: FileWeights) -> Int {
    switch self {
    case .none: 0
    case .oneCopy: file.memory.byteCount
    case .bytes(let count): count
    }
  }
}

/// Shapes of the steps that were launched lately, the latest last.
private struct RecentShapes {
  private(set) var shapes: [StepShape] = []
  mutating func note(_ shape: StepShape) {
    if shapes.last == shape { return }
    shapes.removeAll { $0 == shape }
    shapes.append(shape)
    if shapes.count > 16 { shapes.removeFirst() }
  }
}

extension StepShape {
  /// Of a step in which every sequence has one row that wants an answer; nil for any other, which is launched kernel by kernel.
  init?(_ batch: Batch, _ inputs: StepInputs) {
    guard batch.sequences.allSatisfy({ $0.rows.count == 1 && $0.logitRows == 1 }), inputs.attention.count == 1 else { return nil }
    var splits = 1
    while splits < inputs.attention[0].splits { splits *= 2 }
    self.init(rows: inputs.rowCount, splits: splits)
  }
}
