/// How an ``EngineLoop`` runs.
public struct EngineLoopOptions: Sendable, Hashable {
  /// Most requests that wait for their first step; one more is refused.
  public var maximumQueuedRequests: Int
  /// Most rows of prompts in a step in which answers are being generated. Smaller keeps running answers smoother while a
  /// long prompt is read; larger reads prompts a little faster.
  public var maximumPrefillRowsBesideDecode: Int

  /// A queue of 256 requests, and 128 rows of prompts beside answers, unless given.
  public init(maximumQueuedRequests: Int = 256, maximumPrefillRowsBesideDecode: Int = 128) {
    self.maximumQueuedRequests = maximumQueuedRequests
    self.maximumPrefillRowsBesideDecode = maximumPrefillRowsBesideDecode
  }
}

/// What becomes of requests that are under way when ``EngineLoop/perform(running:forgettingPrefixes:_:)`` acts.
public enum RunningRequests: Sendable {
  /// They go on, with what the cache holds of them. Where prefixes are to be forgotten, those that have not chosen
  /// anything from it yet begin anew.
  case keep
  /// They go on; everything they said so far is computed again first.
  case recompute
  /// They end before the action; new ones wait meanwhile.
  case finish
  /// If the action succeeds, they end with this error.
  case end(any Error)
}
