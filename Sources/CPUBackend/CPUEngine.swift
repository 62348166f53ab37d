public import CPUKernels
public import Engines
import Files
import Networks
public import SystemPackage
public import Tensors

/// A whole engine on this machine's processor: every rank of it, joined in one process.
///
/// Weights are used where they lie in the mapped files, so opening takes milliseconds and memory is shared with the
/// page cache.
public final class CPUEngine: @unchecked Sendable {  // one step at a time, by contract of `step`
  public struct Options: Sendable {
    /// Threads for all ranks together; nil: one for each core.
    public var threadCount: Int?
    public var isa: dk_isa?
    /// Most token rows in one step: prompts are cut into chunks of it.
    public var maximumBatchRows = 512
    /// Most sequences in one step.
    public var maximumSequences = 16
    /// Longest sequence; nil: what the engine was built for.
    public var maximumSequenceLength: Int?
    /// Most bytes for keys and values of all sequences, over all ranks. Never more than the longest sequences can fill are
    /// taken, and never less than one of them needs. nil: `cacheMemoryFraction` alone counts.
    public var cacheByteCount: Int?
    /// Share for keys and values, above 0 and at most 1, of the memory that is free beside the weights; with
    /// `cacheByteCount` the smaller of both counts. nil: a half, unless that is given.
    public var cacheMemoryFraction: Double?
    public init() {}
  }

  public let vocabularySize: Int
  public let maximumSequenceLength: Int
  public let maximumBatchRows: Int
  public let maximumSequences: Int
  /// Most rows of a step that want logits: one for each sequence, and room to score prompts with.
  public let maximumLogitRows: Int
  public let cacheBlockCount: Int
  public var cacheBlockTokens: Int { Int(DK_BLOCK_TOKENS) }
  /// Tokens of all sequences together that the cache holds, and its bytes when it is full; memory is taken as it fills.
  public var cacheTokenCount: Int { cacheBlockCount * cacheBlockTokens }
  public var cacheByteCount: Int { cacheTokenCount * cacheByteCountPerToken }
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
  private let rotary: RotaryTables?
  private let keyValueHeads: [Int]

  /// Whether this machine has the memory for engines of these plans, which need not be there yet.
  ///
  /// - Throws: ``EngineError``, about `path`.
  public static func checkMemory(for plans: [Plan], options: Options, path: FilePath) throws(EngineError) {
    _ = try EngineSizes(plans, options: options, path: path)
  }

  /// - Throws: ``EngineError`` for a stripped engine, one for another target, and where memory does not suffice.
  public init(_ engine: EngineDirectory, options: Options = Options()) throws {
    guard let first = engine.ranks.first?.plan else { throw EngineError(engine.path, .noEngine) }
    for file in engine.ranks {
      guard file.plan.target == "cpu" else {
        throw EngineError(file.path, .unsupported(reason: "built for \"\(file.plan.target)\"; this program runs \"cpu\" engines"))
      }
      let obstacles = CPULimits.obstacles(to: file.plan)
      guard obstacles.isEmpty else {
        throw EngineError(file.path, .unsupported(reason: obstacles.joined(separator: "; ") + ". Build the engine for another target."))
      }
      guard !file.isStripped else { throw EngineError(engine.path, .stripped(missing: file.missingWeights)) }
    }
    let isa = options.isa ?? InstructionSet.detect(environment: nil)
    let sizes = try EngineSizes(engine.ranks.map(\.plan), options: options, path: engine.path)
    vocabularySize = first.vocabularySize
    maximumSequenceLength = sizes.sequenceLength
    maximumBatchRows = sizes.rows
    maximumSequences = sizes.sequences
    maximumLogitRows = sizes.logitRows
    cacheBlockCount = sizes.cacheBlockCount
    memoryWarnings = sizes.warnings
    cacheElementType = first.cache.elementType
    let worldSize = engine.ranks.count
    let threads = max(1, (options.threadCount ?? Processors.count) / worldSize)
    let communicators = InProcessCommunicator.ranks(
      tensorParallel: first.tensorParallel, pipelineParallel: first.pipelineParallel)
    let executors: [RankExecutor]
    do {
      let rotary = try first.rotary.map { try RotaryTables($0, positions: sizes.sequenceLength) }
      self.rotary = rotary
      executors = try zip(engine.ranks, communicators).map { file, communicator in
        try RankExecutor(
          engine: file, communicator: communicator, isa: isa, threadCount: threads, rows: sizes.rows,
          selected: sizes.logitRows, rotary: rotary, cacheBlockCount: sizes.cacheBlockCount)
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
    keyValueHeads = executors.map(\.plan.cache.keyValueHeads)
    fileWeights = WeightVersion(executors.map(\.inUse))
    workers = executors.map { RankWorker($0, ownThread: worldSize > 1) }
  }

  /// Weights in the engine's files that every step reads.
  var stepWeights: [UnsafeRawBufferPointer] { unsafe workers.flatMap { unsafe $0.executor.stepWeights } }

  // MARK: Weights

  /// What the engine was opened with: the weights of its files.
  public let fileWeights: WeightVersion

  /// A version in which some weights of each rank are replaced; ``WeightMemory`` is kept alive by it.
  ///
  /// May be called beside a running step: nothing of it is in use before ``activate(_:)``.
  /// - Parameter made: For each rank, weights of this engine's plan by name.
  public func makeVersion(_ made: [[String: WeightMemory]]) -> WeightVersion {
    precondition(made.count == workers.count, "weights for each of the \(workers.count) ranks")
    return WeightVersion(zip(workers, made).map { $0.executor.resolve(made: $1) })
  }

  /// Computes with `version` from the next step on: a pointer for each rank changes, all or none.
  ///
  /// Not during a step. What the key-value cache holds stays.
  /// - Parameter version: Of this engine.
  public func activate(_ version: WeightVersion) {
    for (worker, steps) in zip(workers, version.ranks) { worker.executor.use(steps) }
  }

  /// A batch that does not fit the engine.
  public struct BatchError: Error, Sendable, CustomStringConvertible {
    public let description: String
  }

  /// Computes one step; see `StepExecutor`. Not to be called again before it returns.
  public func step(
    _ batch: Batch, logits: (_ sequence: Int, _ logits: UnsafeMutableBufferPointer<Float>) -> Void
  ) throws {
    try check(batch)
    rotary?.reach(batch)
    for (worker, heads) in zip(workers, keyValueHeads) { worker.start(batch, StepLayout(batch, keyValueHeads: heads)) }
    for worker in workers { worker.wait() }
    guard let last = workers.last(where: { $0.executor.plan.tensorRank == 0 }), let result = unsafe last.executor.logits
    else { return }
    var row = 0
    for (index, slice) in batch.sequences.enumerated() {
      for _ in 0..<slice.logitRows {
        unsafe logits(index, UnsafeMutableBufferPointer(start: result.base + row * result.stride, count: vocabularySize))
        row += 1
      }
    }
  }

  /// The last line before raw pointers: everything that a step indexes with.
  private func check(_ batch: Batch) throws(BatchError) {
    func require(_ condition: Bool, _ reason: @autoclosure () -> String) throws(BatchError) {
      guard condition else { throw BatchError(description: reason()) }
    }
    try require(batch.tokens.count <= maximumBatchRows, "a step has \(batch.tokens.count) rows, at most \(maximumBatchRows) fit")
    try require(batch.sequences.count <= maximumSequences, "a step has \(batch.sequences.count) sequences, at most \(maximumSequences) fit")
    for token in batch.tokens {
      try require(token >= 0 && token < vocabularySize, "token \(token) is outside the vocabulary of \(vocabularySize)")
    }
    let selected = batch.sequences.reduce(0) { $0 + max(0, $1.logitRows) }
    try require(selected <= maximumLogitRows, "a step wants logits of \(selected) rows, at most \(maximumLogitRows) fit")
    var next = 0
    for slice in batch.sequences {
      try require(slice.rows.lowerBound == next && !slice.rows.isEmpty, "the rows of a step's sequences do not follow each other")
      next = slice.rows.upperBound
      try require(
        (0...slice.rows.count).contains(slice.logitRows), "a slice of \(slice.rows.count) rows wants logits of \(slice.logitRows)")
      let end = slice.firstPosition + slice.rows.count
      try require(slice.firstPosition >= 0 && end <= maximumSequenceLength, "a sequence of \(end) tokens is longer than \(maximumSequenceLength)")
      try require(slice.blockTable.count * cacheBlockTokens >= end, "a block table is too short for \(end) tokens")
      for block in slice.blockTable {
        try require(block >= 0 && block < cacheBlockCount, "cache block \(block) is outside the cache's \(cacheBlockCount)")
      }
    }
    try require(next == batch.tokens.count, "the rows of a step's sequences do not cover it")
  }
}
