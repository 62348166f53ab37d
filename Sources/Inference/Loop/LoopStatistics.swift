/// A snapshot of an ``EngineLoop``, taken after a step. Counts only grow; the rest says how it is now.
public struct LoopStatistics: Sendable, Hashable {
  /// Requests that wait, among them those that were preempted.
  public var queued = 0
  public var running = 0
  /// Actions that wait for their turn between two steps.
  public var pendingActions = 0
  /// Whether no more requests are taken.
  public var isStopping = false
  public var totalBlocks = 0
  /// Cache blocks that can be given out, among them `reusableBlocks`.
  public var freeBlocks = 0
  /// Free blocks that still hold the start of a prompt.
  public var reusableBlocks = 0

  /// Bytes of memory a second that recent steps read in which nothing but answers was computed; nil before the first,
  /// and where the executor cannot tell.
  public var decodeReadRate: Double?

  public var steps: UInt64 = 0
  public var generatedTokens: UInt64 = 0
  /// Rows computed in the prefill phase.
  public var prefillTokens: UInt64 = 0
  /// Prompt tokens that did not have to be computed.
  public var cachedPromptTokens: UInt64 = 0
  public var preemptions: UInt64 = 0
  public var submittedRequests: UInt64 = 0
  /// Requests refused because the queue was full.
  public var refusedRequests: UInt64 = 0
  public var stoppedRequests: UInt64 = 0
  public var lengthRequests: UInt64 = 0
  /// Requests whose stream was given up, or that ``EngineLoop/stop(drain:)`` ended.
  public var cancelledRequests: UInt64 = 0
  public var failedRequests: UInt64 = 0

  public var queueSeconds = LatencyHistogram()
  /// From submission to the first token.
  public var timeToFirstToken = LatencyHistogram()
  /// Between two tokens of one request.
  public var timeBetweenTokens = LatencyHistogram()
  public var stepSeconds = LatencyHistogram()
  /// From submission to the end of requests that were not cancelled and did not fail.
  public var requestSeconds = LatencyHistogram()

  public init() {}
}
