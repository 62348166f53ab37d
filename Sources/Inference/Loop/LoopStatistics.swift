/// A snapshot of an ``EngineLoop``, taken after a step. Counts only grow; the rest says how it is now.
public struct LoopStatistics: Sendable, Hashable {
  /// Requests that wait, among them those that were preempted.
  public var queued = 0
  /// Requests that hold cache blocks and take part in steps.
  public var running = 0
  /// Actions that wait for their turn between two steps.
  public var pendingActions = 0
  /// Whether no more requests are taken.
  public var isStopping = false
  /// Blocks of the cache, free or not.
  public var totalBlocks = 0
  /// Cache blocks that can be given out, among them `reusableBlocks`.
  public var freeBlocks = 0
  /// Free blocks that still hold the start of a prompt.
  public var reusableBlocks = 0

  /// Bytes of memory a second that recent steps read in which nothing but answers was computed; nil before the first,
  /// and where the executor cannot tell.
  public var decodeReadRate: Double?

  /// Steps that were computed without an error; ``GeneratedToken/step`` counts them from 1.
  public var steps: UInt64 = 0
  /// Chosen tokens, with those that ended a sequence.
  public var generatedTokens: UInt64 = 0
  /// Rows computed in the prefill phase.
  public var prefillTokens: UInt64 = 0
  /// Prompt tokens that did not have to be computed.
  public var cachedPromptTokens: UInt64 = 0
  /// How often a request gave up its cache blocks, for another or because weights changed, to be computed again.
  public var preemptions: UInt64 = 0
  /// Requests that were taken.
  public var submittedRequests: UInt64 = 0
  /// Requests refused because the queue was full.
  public var refusedRequests: UInt64 = 0
  /// Requests that a stop token or the end of sequence ended.
  public var stoppedRequests: UInt64 = 0
  /// Requests that became as long as asked for or possible, and those of which the prompt alone was to be scored.
  public var lengthRequests: UInt64 = 0
  /// Requests whose stream was given up, or that ``EngineLoop/stop(drain:)`` ended.
  public var cancelledRequests: UInt64 = 0
  /// Requests that ended with an error: of the executor or in sampling, or because weights were replaced.
  public var failedRequests: UInt64 = 0

  /// From submission until a request first ran.
  public var queueSeconds = LatencyHistogram()
  /// From submission to the first token.
  public var timeToFirstToken = LatencyHistogram()
  /// Between two tokens of one request.
  public var timeBetweenTokens = LatencyHistogram()
  /// From a step's plan until its tokens are chosen.
  public var stepSeconds = LatencyHistogram()
  /// From submission to the end of requests that were not cancelled and did not fail.
  public var requestSeconds = LatencyHistogram()

  /// All counts are 0.
  public init() {}
}
