public import Engines
public import Execution
import Synchronization
public import Tensors

/// One version of the recording back end's weights: what stands in them, as a number.
final class RecordedWeights: WeightVersion {
  let owner: ObjectIdentifier
  let digest: UInt64
  init(owner: ObjectIdentifier, digest: UInt64) { (self.owner, self.digest) = (owner, digest) }
}

/// See ``Recording`` and ``RecordedCache``.
public final class RecordingEngine: OpenedEngine {
  private struct State {
    var cache: RecordedCache
    var weights: UInt64
    var begun: [(step: StepID, answers: [(sequence: Int, wanted: LogitsWanted, logits: [Float])])] = []
    var steps: UInt64 = 0
  }
  public let limits: ExecutorLimits
  public let cacheElementType: ElementType
  public let cacheByteCount: Int
  public let memoryWarnings: [String] = []
  private let fileDigests: [[String: UInt64]]
  private let plans: [Plan]
  private let state: Mutex<State>

  init(_ engine: EngineDirectory, options: ExecutorOptions) throws {
    guard let first = engine.ranks.first?.plan else { throw EngineError(engine.path, .noEngine) }
    for file in engine.ranks where file.isStripped { throw EngineError(engine.path, .stripped(missing: file.missingWeights)) }
    plans = engine.ranks.map(\.plan)
    let walks = try plans.map { (plan) throws(Fault) in try PlanWalk(plan) }
    for stage in 0..<first.pipelineParallel {
      let ranks = walks[(stage * first.tensorParallel)..<((stage + 1) * first.tensorParallel)]
      for walk in ranks { try require(walk.exchanges == ranks.first?.exchanges, "ranks of stage \(stage) exchange \(ranks.map(\.exchanges))") }
    }
    var blockByteCount = 0
    for plan in plans { blockByteCount += plan.cacheByteCountPerToken * 16 }
    let blocks = options.cacheByteCount.map { $0 / max(1, blockByteCount) } ?? 64
    limits = ExecutorLimits(
      vocabularySize: first.vocabularySize, maximumSequenceLength: min(options.maximumSequenceLength ?? .max, first.limits.sequenceLength),
      maximumBatchRows: min(options.maximumBatchRows, first.limits.tokens), maximumSequences: min(options.maximumSequences, first.limits.batchSize),
      maximumLogitRows: min(options.maximumBatchRows, options.maximumSequences + 48), cacheBlockCount: max(1, blocks))
    cacheElementType = engine.cacheElementType ?? .float32
    cacheByteCount = limits.cacheTokenCount
    fileDigests = try engine.ranks.map { file in
      let bytes = try EngineBytes(file)
      return try Dictionary(uniqueKeysWithValues: file.plan.weights.keys.map { ($0, try bytes.digest($0)) })
    }
    state = Mutex(State(cache: RecordedCache(limits), weights: 0))
    state.withLock { $0.weights = Self.digest(fileDigests) }
  }

  // MARK: Weights

  private static func digest(_ ranks: [[String: UInt64]]) -> UInt64 {
    ranks.reduce(1) { sum, weights in weights.sorted { $0.key < $1.key }.reduce(mix(sum)) { mix($0 ^ $1.value) } }
  }
  public var fileWeights: any WeightVersion { RecordedWeights(owner: ObjectIdentifier(self), digest: Self.digest(fileDigests)) }

  public func makeVersion(_ made: [[String: WeightMemory]]) throws -> any WeightVersion {
    try require(made.count == plans.count, "weights for \(made.count) ranks of \(plans.count)")
    var digests = fileDigests
    for (rank, weights) in made.enumerated() {
      for (name, memory) in weights {
        guard let planned = plans[rank].weights[name] else { throw Fault("\(name) is not of rank \(rank)'s plan") }
        try require(memory.byteCount == planned.stored.byteCount, "\(name) has \(memory.byteCount) bytes, not \(planned.stored.byteCount)")
        digests[rank][name] = unsafe EngineBytes.digest(UnsafeRawBufferPointer(start: memory.baseAddress, count: memory.byteCount))
      }
    }
    return RecordedWeights(owner: ObjectIdentifier(self), digest: Self.digest(digests))
  }

  public func activate(_ version: any WeightVersion) {
    guard let version = version as? RecordedWeights, version.owner == ObjectIdentifier(self) else { preconditionFailure("weights of another engine") }
    state.withLock { state in
      precondition(state.begun.isEmpty, "weights changed while a step is unfinished")
      state.weights = version.digest
    }
  }

  public func measureReadRate() -> Double? { nil }

  // MARK: Steps

  public func submit(_ batch: Batch) throws -> StepID {
    try state.withLock { state in
      let rows = try state.cache.write(batch, weights: state.weights, extend: Self.extend)
      let answers = rows.map { (sequence: $0.sequence, wanted: $0.wanted, logits: Self.logits($0.history, limits.vocabularySize)) }
      state.steps += 1
      state.begun.append((StepID(state.steps), answers))
      return StepID(state.steps)
    }
  }

  public func finish(_ step: StepID, _ answer: (_ sequence: Int, _ answer: RowAnswer) -> Void) throws {
    let answers = try state.withLock { state in
      guard let first = state.begun.first, first.step == step else { throw Fault("step \(step.number) is not the first unfinished one") }
      return state.begun.removeFirst().answers
    }
    for row in answers { row.wanted.answer(from: row.logits) { answer(row.sequence, $0) } }
  }

  private static func extend(_ history: UInt64, _ token: Int32, _ position: Int, _ phase: SequenceSlice.Phase, _ weights: UInt64) -> UInt64 {
    mix(history ^ mix(UInt64(token) &+ UInt64(position) << 32 &+ (phase == .decode ? 1 << 62 : 0)) ^ weights)
  }
  /// In -4...4, rounded so that equal logits are common.
  private static func logits(_ history: UInt64, _ count: Int) -> [Float] {
    (0..<count).map { Float(Int(mix(history &+ UInt64($0) &* 0x1234_5678_9ABC_DEF1) % 257) - 128) / 32 }
  }
}
