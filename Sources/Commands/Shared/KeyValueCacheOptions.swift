import ArgumentParser
import Execution
import Tensors

/// Flags for the memory that keys and values take while an engine runs.
struct KeyValueCacheOptions: ParsableArguments {
  @Option(
    name: .customLong("kv_cache_size"),
    help: ArgumentHelp(
      "Most memory for keys and values of all sequences, such as 4GB; with --kv_cache_free_mem_fraction the smaller counts.",
      valueName: "size"))
  var size: ByteCount?

  @Option(
    name: [
      .customLong("kv_cache_free_mem_fraction"), .customLong("kv_cache_free_gpu_memory_fraction"), .customLong("free_gpu_memory_fraction"),
    ],
    help: ArgumentHelp(
      "Share for them of the memory that is free beside the weights; 0.5 by default, but at least one whole sequence.",
      valueName: "x"))
  var fraction: Double?

  /// What is wrong with the values.
  var problems: [String] {
    var problems: [String] = []
    if size?.count == 0 { problems.append("--kv_cache_size is 0; give at least what one sequence takes") }
    if let fraction, !(fraction > 0 && fraction <= 1) {
      problems.append("--kv_cache_free_mem_fraction is \(fraction); it must be above 0 and at most 1")
    }
    return problems
  }

  func apply(to options: inout ExecutorOptions) {
    options.cacheByteCount = size?.count
    options.cacheMemoryFraction = fraction
  }
}

extension OpenedEngine {
  /// `65536 tokens in bfloat16, 1.51 GB`.
  var cacheDescription: String {
    "\(limits.cacheTokenCount) tokens in \(cacheElementType.configName ?? cacheElementType.rawValue), \(Format.bytes(cacheByteCount))"
  }
}
