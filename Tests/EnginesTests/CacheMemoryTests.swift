import CPUBackend
import EngineFixtures
import Execution
import Engines
import TestSupport
import Testing

/// How large the key-value cache becomes.
@Suite struct CacheMemoryTests {
  /// Blocks of 16 tokens and 1,000 bytes; sequences of 100 tokens, which are 7 blocks.
  private func memory(available: Int?, other: Double = 0, buffers: Double = 0, sequences: Int = 4, length: Int = 100) -> CacheMemory {
    CacheMemory(
      blockByteCount: 1000, blockTokens: 16, sequenceLength: length, sequences: sequences, weightByteCount: other,
      bufferByteCount: buffers, availableByteCount: available)
  }

  @Test func `without flags it is half of what is free beside the weights`() throws {
    #expect(try memory(available: 40_000).blockCount(size: nil, fraction: nil) == 20)
    #expect(try memory(available: 40_000, other: 20_000).blockCount(size: nil, fraction: nil) == 10)
  }

  @Test func `never more than all sequences fill`() throws {
    for (size, fraction) in [(nil, nil), (1 << 40, nil), (nil, 1), (1 << 40, 1)] as [(Int?, Double?)] {
      #expect(try memory(available: 1 << 40).blockCount(size: size, fraction: fraction) == 28)
    }
    #expect(try memory(available: nil).blockCount(size: nil, fraction: nil) == 28, "where the system says nothing")
  }

  @Test func `without flags never less than a whole sequence, as long as the memory is there`() throws {
    #expect(try memory(available: 9_000).blockCount(size: nil, fraction: nil) == 7)
    #expect(try memory(available: 7_000, other: 1e9).blockCount(size: nil, fraction: nil) == 7, "weights can be read again")
    let error = #expect(throws: CacheMemory.TooSmall.self) { try memory(available: 6_999).blockCount(size: nil, fraction: nil) }
    #expect(error?.fitting == 48, "in the half that is the default")
    #expect(error?.reason == "Lower --max_seq_len to 48: keys and values of a sequence of 100 tokens take 7 kB, and 6 kB of memory are available for them.")
    let buffers = #expect(throws: CacheMemory.TooSmall.self) { try memory(available: 9_000, buffers: 2_001).blockCount(size: nil, fraction: nil) }
    #expect(buffers?.fitting == 48, "a step's buffers cannot be dropped")
    #expect(try memory(available: 9_000, buffers: 2_000).blockCount(size: nil, fraction: nil) == 7)
    #expect(throws: CacheMemory.TooSmall.self) { try memory(available: 0).blockCount(size: nil, fraction: nil) }
  }

  @Test func `a size counts as it is, whatever the system has left`() throws {
    #expect(try memory(available: 40_000).blockCount(size: 25_999, fraction: nil) == 25)
    #expect(try memory(available: 1).blockCount(size: 7_000, fraction: nil) == 7)
    let error = #expect(throws: CacheMemory.TooSmall.self) { try memory(available: 1 << 30).blockCount(size: 6_999, fraction: nil) }
    #expect(error?.reason == "Lower --max_seq_len to 96, or raise --kv_cache_size: keys and values of a sequence of 100 tokens take 7 kB, and the cache may have 6 kB.")
    let none = #expect(throws: CacheMemory.TooSmall.self) { try memory(available: 1 << 30).blockCount(size: 1, fraction: nil) }
    #expect(none?.reason.hasPrefix("Raise --kv_cache_size: ") == true, "\(none?.reason ?? "")")
  }

  @Test func `a fraction is of what is free beside the weights`() throws {
    #expect(try memory(available: 50_000, other: 30_000).blockCount(size: nil, fraction: 0.9) == 18)
    let error = #expect(throws: CacheMemory.TooSmall.self) { try memory(available: 50_000, other: 30_000).blockCount(size: nil, fraction: 0.25) }
    #expect(
      error?.reason == "Lower --max_seq_len to 80, or raise --kv_cache_free_mem_fraction to 0.35: keys and values of a sequence of 100 tokens take 7 kB, "
        + "and 0.25 of the 20 kB that are free beside the weights is 5 kB.")
  }

  @Test func `a fraction is advised only where one suffices`() throws {
    func advice(_ available: Int, _ other: Double, _ fraction: Double) -> String {
      let error = #expect(throws: CacheMemory.TooSmall.self) { try memory(available: available, other: other).blockCount(size: nil, fraction: fraction) }
      return error?.reason ?? ""
    }
    #expect(advice(6_999, 0, 1).hasPrefix("Lower --max_seq_len to 96: "))
    #expect(advice(50_000, 44_000, 0.5).hasPrefix("Lower --max_seq_len to 48: "))
    #expect(advice(40_000, 40_000, 0.5).hasPrefix("Free some memory: "))
    for (available, value) in [(7_000, "1.0"), (9_000, "0.778"), (7_000_000_000, "1e-06"), (3_000_000_000, "2.34e-06")] {
      #expect(advice(available, 0, 1e-7).contains("aise --kv_cache_free_mem_fraction to \(value): "), "\(advice(available, 0, 1e-7))")
      #expect(try memory(available: available).blockCount(size: nil, fraction: try #require(Double(value))) >= 7)
    }
  }

  @Test func `a sequence of more than the default share is warned of, with a length that fits it`() throws {
    func warnings(_ memory: CacheMemory, size: Int? = nil, fraction: Double? = nil) throws -> [String] {
      memory.warnings(blockCount: try memory.blockCount(size: size, fraction: fraction), size: size, fraction: fraction)
    }
    #expect(try warnings(memory(available: 14_000)) == [])
    #expect(
      try warnings(memory(available: 9_000)) == [
        "--max_seq_len: lower it to 64 to leave memory to others: keys and values of one sequence of 100 tokens may grow to 7 kB, more than half of the 9 kB "
          + "that are free beside the weights"
      ])
    #expect(try warnings(memory(available: 9_000, length: 64)) == [], "as advised")
    #expect(try warnings(memory(available: 16_000, other: 1_000, buffers: 2_000))[0].contains("lower it to 96 "))
    #expect(try warnings(memory(available: 8_000, other: 1e9))[0].contains("lower it to 64 "))
    #expect(try warnings(memory(available: 9_000), fraction: 0.9) == [], "asked for")
    #expect(try warnings(memory(available: nil)) == [])
  }

  @Test func `a size beyond what is available is warned of`() async throws {
    func warnings(_ memory: CacheMemory, _ size: Int) throws -> [String] {
      memory.warnings(blockCount: try memory.blockCount(size: size, fraction: nil), size: size, fraction: nil)
    }
    #expect(try warnings(memory(available: 20_000), 20_000) == [])
    #expect(
      try warnings(memory(available: 20_000, buffers: 5_000), 18_000) == [
        "--kv_cache_size: lower it to 15 kB: keys and values may grow to 18 kB, and 20 kB of memory are available. The system may end this process when they do."
      ])
    #expect(try warnings(memory(available: 40_000), 1 << 40) == [], "four sequences fill 28 kB")
    let life = Lifecycle.unmeasured()
    try await life.build(try SmallModel(layers: 2).write(life.directory, "A", seed: 81), "engine")
    let engine = try EngineDirectory(life.directory("engine"))
    var options = ExecutorOptions()
    options.cacheByteCount = 1 << 30
    let plans = engine.ranks.map(\.plan)
    #expect(try EngineSizes(plans, options: options, path: engine.path, available: 1000).warnings.first?.contains("--kv_cache_size") == true)
    #expect(try EngineSizes(plans, options: options, path: engine.path, available: 1 << 40).warnings == [])
  }

  @Test func `of size and fraction the smaller counts`() throws {
    #expect(try memory(available: 40_000).blockCount(size: 12_000, fraction: 0.5) == 12)
    #expect(try memory(available: 40_000).blockCount(size: 30_000, fraction: 0.5) == 20)
    #expect(throws: CacheMemory.TooSmall.self) { try memory(available: 40_000).blockCount(size: 6_000, fraction: 0.5) }
    #expect(throws: CacheMemory.TooSmall.self) { try memory(available: 40_000).blockCount(size: 30_000, fraction: 0.1) }
  }

  @Test func `sizes beyond every machine do not overflow`() throws {
    let huge = CacheMemory(
      blockByteCount: 1 << 50, blockTokens: 16, sequenceLength: 1 << 24, sequences: 1 << 24, weightByteCount: 1e30, bufferByteCount: 0, availableByteCount: 1 << 40)
    for (size, fraction) in [(nil, nil), (Int.max, nil), (nil, 1), (Int.max, 1)] as [(Int?, Double?)] {
      #expect(throws: CacheMemory.TooSmall.self) { try huge.blockCount(size: size, fraction: fraction) }
    }
  }

  @Test func `an engine opens with what its options say, and says how many tokens fit`() async throws {
    let life = Lifecycle.unmeasured()
    try await life.build(try SmallModel(layers: 2).write(life.directory, "A", seed: 80), "engine")
    let directory = try EngineDirectory(life.directory("engine"))
    var options = ExecutorOptions()
    options.maximumSequences = 3
    let whole = try CPUEngine(directory, options: options)
    // 2 layers, 2 heads of 12 keys and of values in rows of 16, in bfloat16.
    #expect(whole.limits.cacheTokenCount == 3 * 128 && whole.cacheByteCount == 3 * 128 * 2 * 2 * (12 + 16) * 2)
    options.cacheByteCount = whole.cacheByteCount / 2
    #expect(try CPUEngine(directory, options: options).limits.cacheTokenCount == 192)
    options.cacheByteCount = whole.cacheByteCount / 4
    let error = #expect(throws: EngineError.self) { try CPUEngine(directory, options: options) }
    #expect(error?.description.contains("Lower --max_seq_len to 96") == true, "\(error?.description ?? "")")
    options.maximumSequenceLength = 96
    #expect(try CPUEngine(directory, options: options).limits.cacheTokenCount == 96)
  }

  @Test func `of memory that the machine has not at all, the flags are told that take it`() {
    #expect(
      EngineSizes.tooLarge(cache: 94e9, buffers: 3.2e9, sequences: 2048, machine: 16e9)
        == "Lower --kv_cache_size or --max_batch_size: keys and values of 2048 sequence(s) at once may grow to 94 GB, other buffers take 4 GB, and this machine has 16 GB.")
    #expect(EngineSizes.tooLarge(cache: 94e9, buffers: 1e9, sequences: 1, machine: 16e9).hasPrefix("Lower --kv_cache_size: "))
    #expect(EngineSizes.tooLarge(cache: 1e9, buffers: 20e9, sequences: 2048, machine: 16e9).hasPrefix("Lower --max_batch_size or --max_num_tokens: "))
  }
}
