import CPUKernels
public import Engines
public import Execution
import Files
import Networks
public import SystemPackage
public import Tensors

/// A whole engine on this machine's processor: every rank of it, joined in one process.
///
/// Weights are used where they lie in the mapped files, so opening takes milliseconds and memory is shared with the
/// page cache.
public final class CPUEngine: OpenedEngine, @unchecked Sendable {  // one step at a time, by contract of `Executor`
  public let limits: ExecutorLimits
  /// Memory is taken as it fills.
  public var cacheByteCount: Int { limits.cacheTokenCount * cacheByteCountPerToken }
  /// What keys and values may take of memory that others may need, as found when the engine was opened.
  public let memoryWarnings: [String]
  /// How keys and values are kept.
  public let cacheElementType: ElementType
  /// Threads that compute, over all ranks.
  let threadCount: Int
  /// Weights that every step reads, and keys and values of one position, over all ranks.
  let weightByteCount: Int
  let cacheByteCountPerToken: Int
  private let workers: [RankWorker]
  private let rotaries: [RotaryTables]
  /// Numbers of key-value heads of each rank's attentions.
  private let keyValueHeads: [Set<Int>]

  /// - Throws: `EngineError` for a stripped engine, one for another target, and where memory does not suffice.
  ///
  /// - Parameter instructionSet: What to compute with; nil: the best that there is.
  public init(_ engine: EngineDirectory, options: ExecutorOptions = .init(), instructionSet: InstructionSet? = nil) throws {
    guard let first = engine.ranks.first?.plan else { throw EngineError(engine.path, .noEngine) }
    for file in engine.ranks {
      guard file.plan.target == CPU.name else {
        throw EngineError(file.path, .unsupported(reason: "built for \"\(file.plan.target)\"; this program runs \"cpu\" engines"))
      }
      let obstacles = CPULimits.obstacles(to: file.plan)
      guard obstacles.isEmpty else {
        throw EngineError(file.path, .unsupported(reason: obstacles.joined(separator: "; ") + ". Build the engine for another target."))
      }
      guard !file.isStripped else { throw EngineError(engine.path, .stripped(missing: file.missingWeights)) }
    }
    let isa = (instructionSet ?? .best).kernels
    let sizes = try EngineSizes(engine.ranks.map(\.plan), options: options, path: engine.path)
    limits = ExecutorLimits(
      vocabularySize: first.vocabularySize, maximumSequenceLength: sizes.steps.sequenceLength, maximumBatchRows: sizes.steps.rows,
      maximumSequences: sizes.steps.sequences, maximumLogitRows: sizes.steps.logitRows, cacheBlockTokens: Int(DK_BLOCK_TOKENS),
      cacheBlockCount: sizes.cacheBlockCount)
    memoryWarnings = sizes.warnings
    cacheElementType = engine.cacheElementType ?? .float32
    let worldSize = engine.ranks.count
    let threads = max(1, (options.threadCount ?? Processors.count) / worldSize)
    let communicators = InProcessCommunicator.ranks(
      tensorParallel: first.tensorParallel, pipelineParallel: first.pipelineParallel)
    let executors: [RankExecutor]
    do {
      let rotaries = try first.rotaries.map { try RotaryTables($0, positions: sizes.steps.sequenceLength) }
      self.rotaries = rotaries
      executors = try zip(engine.ranks, communicators).map { file, communicator in
        try RankExecutor(
          engine: file, communicator: communicator, isa: isa, threadCount: threads, rows: sizes.steps.rows,
          selected: sizes.steps.logitRows, rotaries: rotaries, cacheBlockCount: sizes.cacheBlockCount)
      }
    } catch let error as AlignedBuffer.NoMemory {
      throw EngineError(
        engine.path,
        .unsupported(
          reason: "Give the cache less memory with --kv_cache_size: of \(Int(sizes.byteCount / 1e6)) MB for it and for buffers, the system "
            + "refuses \(error.byteCount / 1_000_000) MB."))
    }
    threadCount = threads * worldSize
    weightByteCount = executors.reduce(0) { sum, executor in unsafe executor.stepWeights.reduce(sum) { $0 + $1.count } }
    cacheByteCountPerToken = executors.reduce(0) { $0 + $1.cacheByteCountPerToken }
    keyValueHeads = executors.map { Set($0.plan.caches.map(\.keyValueHeads)) }
    ranks = CPUWeights(executors.map(\.inUse))
    workers = executors.map { RankWorker($0, ownThread: worldSize > 1) }
  }

  /// Weights in the engine's files that every step reads.
  var stepWeights: [UnsafeRawBufferPointer] { unsafe workers.flatMap { unsafe $0.executor.stepWeights } }

  // MARK: Weights

  private let ranks: CPUWeights
  /// The mapped files themselves.
  public var fileWeights: any WeightVersion { ranks }

  /// Pointers to what was made, which stays where it is.
  ///
  /// - Precondition: There is an element for each rank, and weights are as large as the plan says.
  public func makeVersion(_ made: [[String: WeightMemory]]) -> any WeightVersion {
    precondition(made.count == workers.count, "weights for each of the \(workers.count) ranks")
    return CPUWeights(zip(workers, made).map { $0.executor.resolve(made: $1) })
  }

  /// A pointer for each rank changes.
  public func activate(_ version: any WeightVersion) {
    guard let version = version as? CPUWeights else { preconditionFailure("weights of another engine") }
    for (worker, steps) in zip(workers, version.ranks) { worker.executor.use(steps) }
  }

  // MARK: Steps

  /// The step whose answers have not been handed out.
  private var begun: (step: StepID, sequences: [SequenceSlice])?
  private var stepCount: UInt64 = 0

  /// Computes all of it: the processor has nothing else to do meanwhile.
  public func submit(_ batch: Batch) throws -> StepID {
    try batch.check(limits)
    precondition(begun == nil, "the step before was not finished")
    for rotary in rotaries { rotary.reach(batch) }
    for (worker, heads) in zip(workers, keyValueHeads) { worker.start(batch, StepLayout(batch, keyValueHeads: heads)) }
    for worker in workers { worker.wait() }
    stepCount += 1
    begun = (StepID(stepCount), batch.sequences)
    return StepID(stepCount)
  }

  /// All logits, which lie here anyway, of every row that wants any.
  public func finish(_ step: StepID, _ answer: (_ sequence: Int, _ answer: RowAnswer) -> Void) throws {
    guard let begun, begun.step == step else { preconditionFailure("step \(step.number) was not begun, or is finished") }
    self.begun = nil
    guard let last = workers.last(where: { $0.executor.plan.tensorRank == 0 }), let result = unsafe last.executor.logits else { return }
    var row = 0
    for (index, slice) in begun.sequences.enumerated() {
      for _ in 0..<slice.logitRows {
        let logits = unsafe UnsafeMutableBufferPointer(start: result.base + row * result.stride, count: limits.vocabularySize)
        answer(index, .all(unsafe Logits(logits)))
        row += 1
      }
    }
  }
}
