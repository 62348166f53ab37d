import CPUKernels
package import Engines
package import Execution
import Files
package import SystemPackage

/// How large steps and cache of an engine become on this machine, before any of it is opened.
package struct EngineSizes {
  let steps: StepSizes
  package let cacheBlockCount: Int
  /// Bytes of buffers, cache and tables when all of it is used.
  let byteCount: Double
  /// What the cache takes that may be more than the machine can give; each names the flag to lower.
  package let warnings: [String]

  /// - Parameters:
  ///   - plans: Of all ranks of one engine, which has been checked.
  ///   - path: For messages.
  ///   - available: Bytes that control groups and the system leave this process; nil where nothing says.
  /// - Throws: ``EngineError`` where memory does not suffice.
  package init(
    _ plans: [Plan], options: ExecutorOptions, path: FilePath, available: Int? = Processors.availableMemory
  ) throws(EngineError) {
    guard let first = plans.first else { throw EngineError(path, .noEngine) }
    let steps = StepSizes(first.limits, options: options)
    self.steps = steps
    let block = plans.reduce(0) { $0 + $1.cacheBlockByteCount }
    let turns = first.rotaries.reduce(0.0) { $0 + Double($1.dimension) * 4 * Double(steps.sequenceLength) }
    let buffers = plans.reduce(turns) { $0 + $1.stepByteCount(rows: steps.rows, selected: steps.logitRows) }
    let weights = plans.reduce(0.0) { $1.weights.values.reduce($0) { $0 + Double($1.stored.byteCount) } }
    let memory = CacheMemory(
      blockByteCount: max(1, block), blockTokens: Int(DK_BLOCK_TOKENS), sequenceLength: steps.sequenceLength, sequences: steps.sequences,
      weightByteCount: weights, bufferByteCount: buffers, availableByteCount: available)
    do {
      cacheBlockCount = try memory.blockCount(size: options.cacheByteCount, fraction: options.cacheMemoryFraction)
    } catch { throw EngineError(path, .unsupported(reason: error.reason)) }
    warnings = memory.warnings(blockCount: cacheBlockCount, size: options.cacheByteCount, fraction: options.cacheMemoryFraction)
    byteCount = buffers + Double(block) * Double(cacheBlockCount)
    if let machine = Processors.machineMemory, byteCount > Double(machine) {
      throw EngineError(
        path,
        .unsupported(
          reason: Self.tooLarge(cache: byteCount - buffers, buffers: buffers, sequences: steps.sequences, machine: Double(machine))))
    }
  }

  /// - Parameters: Bytes, and the sequences that the cache is for.
  package static func tooLarge(cache: Double, buffers: Double, sequences: Int, machine: Double) -> String {
    func text(_ bytes: Double) -> String { "\(Int((bytes / 1e9).rounded(.up))) GB" }
    // One sequence is what run opens an engine for, which has no flags for steps.
    let steps = sequences > 1 ? ["--max_batch_size", "--max_num_tokens"] : []
    let flags = buffers < machine ? ["--kv_cache_size"] + steps.prefix(1) : steps
    return (flags.isEmpty ? "Take a larger machine" : "Lower " + flags.joined(separator: " or "))
      + ": keys and values of \(sequences) sequence(s) at once may grow to \(text(cache)), other buffers take \(text(buffers)), and this machine has \(text(machine))."
  }
}
