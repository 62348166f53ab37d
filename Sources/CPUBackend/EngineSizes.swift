import CPUKernels
package import Engines
package import Execution
import Files
package import SystemPackage

/// How large steps and cache of an engine become on this machine, before any of it is opened.
package struct EngineSizes {
  let sequenceLength: Int
  /// Most token rows of a step, sequences, and rows that want logits.
  let rows: Int
  let sequences: Int
  let logitRows: Int
  package let cacheBlockCount: Int
  /// Bytes of buffers, cache and tables when all of it is used.
  let byteCount: Double
  /// What the cache takes that may be more than the machine can give; each names the flag to lower.
  package let warnings: [String]

  /// Rows of prompts that can be scored in one step. Each costs memory for the logits of a whole vocabulary.
  private static let scoredRows = 48

  /// - Parameters:
  ///   - plans: Of all ranks of one engine, which has been checked.
  ///   - path: For messages.
  ///   - available: Bytes that control groups and the system leave this process; nil where nothing says.
  /// - Throws: ``EngineError`` where memory does not suffice.
  package init(
    _ plans: [Plan], options: ExecutorOptions, path: FilePath, available: Int? = Processors.availableMemory
  ) throws(EngineError) {
    guard let first = plans.first else { throw EngineError(path, .noEngine) }
    let length = min(options.maximumSequenceLength ?? first.limits.sequenceLength, first.limits.sequenceLength)
    let rows = max(1, min(options.maximumBatchRows, first.limits.tokens))
    let sequences = max(1, min(options.maximumSequences, first.limits.batchSize, rows))
    let selected = min(rows, sequences + Self.scoredRows)
    let block = plans.reduce(0) { $0 + $1.cacheBlockByteCount }
    let turns = first.rotaries.reduce(0.0) { $0 + Double($1.dimension) * 4 * Double(length) }
    let buffers = plans.reduce(turns) { $0 + $1.stepByteCount(rows: rows, selected: selected) }
    let weights = plans.reduce(0.0) { $1.weights.values.reduce($0) { $0 + Double($1.stored.byteCount) } }
    let memory = CacheMemory(
      blockByteCount: max(1, block), blockTokens: Int(DK_BLOCK_TOKENS), sequenceLength: length, sequences: sequences,
      weightByteCount: weights, bufferByteCount: buffers, availableByteCount: available)
    do {
      cacheBlockCount = try memory.blockCount(size: options.cacheByteCount, fraction: options.cacheMemoryFraction)
    } catch { throw EngineError(path, .unsupported(reason: error.reason)) }
    warnings = memory.warnings(blockCount: cacheBlockCount, size: options.cacheByteCount, fraction: options.cacheMemoryFraction)
    (sequenceLength, self.rows, self.sequences, logitRows) = (length, rows, sequences, selected)
    byteCount = buffers + Double(block) * Double(cacheBlockCount)
    if let machine = Processors.machineMemory, byteCount > Double(machine) {
      throw EngineError(
        path,
        .unsupported(
          reason: "its buffers need \(Int(byteCount / 1e9)) GB, and this machine has \(machine / 1_000_000_000). "
            + "Lower --kv_cache_size, or build it with a smaller --max_num_tokens."))
    }
  }
}
