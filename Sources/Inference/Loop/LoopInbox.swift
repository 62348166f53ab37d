/// What others want of the loop's thread, and what they need to know of it. Guarded by the loop's mutex.
struct LoopInbox {
  struct Submission: Sendable {
    var id: SequenceID
    var request: GenerationRequest
    var sampler: Sampler
    var submitted: ContinuousClock.Instant
    var continuation: AsyncThrowingStream<GenerationEvent, any Error>.Continuation
  }
  /// Work to do between two steps.
  struct Action: Sendable {
    var running: RunningRequests
    var forgetsPrefixes: Bool
    /// Does it, says whether it succeeded, and how the waiting caller learns of it.
    var run: @Sendable () -> (succeeded: Bool, report: @Sendable () -> Void)
    /// For the waiting caller: it will not be done.
    var refuse: @Sendable () -> Void
  }
  enum Stop { case drain, now }

  var submissions: [Submission] = []
  var cancellations: [SequenceID] = []
  var actions: [Action] = []
  var stop: Stop?

  var lastArrival: UInt64 = 0
  /// Requests that never ran yet, here or with the loop.
  var queuedCount = 0
  var refusedCount: UInt64 = 0
  /// Set by the loop's thread as its last act.
  var hasEnded = false
  var awaitingEnd: [CheckedContinuation<Void, Never>] = []

}
