/// A snapshot of the engine for `/metrics`. Counters grow from the engine's start.
public struct EngineStatistics: Sendable, Hashable {
  public var queuedSequences = 0
  public var runningSequences = 0
  public var cacheBlocks = 0
  public var freeCacheBlocks = 0
  public var steps = 0
  public var preemptions = 0
  public var promptTokens = 0
  /// Prompt tokens that needed no computing.
  public var cachedPromptTokens = 0
  public var generatedTokens = 0
  /// Share of the machine's memory-read rate that recent decode steps reached, where measured. 1 is the limit; weights
  /// that stay in the processor's caches may be read a little faster than they were when it was measured.
  public var memoryReadShare: Double?
  public init() {}
}
