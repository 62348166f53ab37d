/// A request inside the loop, from submission to end.
struct LiveRequest {
  var sampler: Sampler
  /// What was asked for, or what the engine can hold.
  let maximumTokens: Int
  let promptScores: PromptScores
  /// Of the prompt's tokens after the first, as far as they have been computed.
  var scores: [GeneratedToken] = []
  let submitted: ContinuousClock.Instant
  var firstRan: ContinuousClock.Instant?
  var firstToken: ContinuousClock.Instant?
  var lastToken: ContinuousClock.Instant?
  /// The step that made the last choice.
  var lastStep: UInt64 = 0
  let continuation: AsyncThrowingStream<GenerationEvent, any Error>.Continuation

  init(
    sampler: Sampler, maximumTokens: Int, promptScores: PromptScores, submitted: ContinuousClock.Instant,
    continuation: AsyncThrowingStream<GenerationEvent, any Error>.Continuation
  ) {
    self.sampler = sampler
    self.maximumTokens = maximumTokens
    self.promptScores = promptScores
    self.submitted = submitted
    self.continuation = continuation
  }

  func usage(of sequence: ScheduledSequence) -> Usage {
    Usage(
      promptTokens: sequence.promptCount, cachedPromptTokens: sequence.cachedPromptTokens,
      generatedTokens: sampler.generatedTokens, queueSeconds: seconds(from: submitted, to: firstRan),
      prefillSeconds: seconds(from: firstRan, to: firstToken), decodeSeconds: seconds(from: firstToken, to: lastToken),
      lastStep: lastStep)
  }

  /// What a step brings to a stream; handed over after the step, when the loop's state says so too.
  struct Delivery {
    let continuation: AsyncThrowingStream<GenerationEvent, any Error>.Continuation
    var events: [GenerationEvent] = []
    /// How the stream ends, if it does.
    var end: Result<Void, any Error>?

    func handOver() {
      for event in events { continuation.yield(event) }
      switch end {
      case .success: continuation.finish()
      case .failure(let error): continuation.finish(throwing: error)
      case nil: break
      }
    }
  }
}

/// 0 where one of the instants has not come.
func seconds(from start: ContinuousClock.Instant?, to end: ContinuousClock.Instant?) -> Double {
  guard let start, let end else { return 0 }
  let (seconds, attoseconds) = (end - start).components
  return Double(seconds) + Double(attoseconds) * 1e-18
}
