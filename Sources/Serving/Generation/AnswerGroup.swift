import Synchronization

/// Runs a request's answers side by side and gives their pieces in the order in which they come.
struct AnswerGroup: Sendable {
  let engine: any CompletionEngine
  let answers: [Answer]
  let metrics: ServingMetrics

  /// Starts every answer; none, where one is refused.
  init(
    engine: any CompletionEngine, prompts: [[Int32]], fields: SamplingFields, makesText: Bool, metrics: ServingMetrics
  ) throws {
    self.engine = engine
    self.metrics = metrics
    var answers: [Answer] = []
    for (place, prompt) in prompts.enumerated() {
      var fields = fields
      try fields.settle(promptLength: prompt.count, limits: engine.limits)
      guard fields.maximumTokens != 0 || fields.scoresPrompt else { continue }
      for candidate in 0..<fields.candidateCount {
        // An answer that is not kept drops its stream, which ends its sequence.
        let events = try engine.generate(
          promptIDs: prompt, sampling: fields.parameters(candidate: candidate), promptScores: fields.promptScores)
        answers.append(
          Answer(
            index: place * fields.candidateCount + candidate, events: AnswerEvents(events),
            fields: fields, makesText: makesText))
      }
    }
    self.answers = answers
  }

  /// Tokens and alternatives after which others have their turn: about 0.1 ms of work.
  private static let entriesOfTurn = 32

  /// - Parameters:
  ///   - interruptions: Waits, each of which ends all answers with the error it returns.
  ///   - silence: After how long without a piece nil is given, and again; nil: never.
  /// - Throws: The first error of an answer, of an interruption or of `onPiece`; all answers end then.
  func run(
    interruptions: [@Sendable () async -> APIError], silence: Duration? = nil, onPiece: (AnswerPiece?) async throws -> Void
  ) async throws {
    guard !answers.isEmpty else { return }
    let (pieces, sink) = AsyncThrowingStream<AnswerPiece?, any Error>.makeStream()
    let given = Given()
    try await withThrowingTaskGroup(of: Void.self) { group in
      defer { group.cancelAll() }
      for answer in answers {
        group.addTask {
          var timing = AnswerTiming(interval: { metrics.tokenInterval.record($0) })
          do {
            try await answer.run(engine: engine, timing: &timing) { sink.yield($0) }
          } catch {
            sink.finish(throwing: error)
          }
          metrics.record(timing)
        }
      }
      for interruption in interruptions {
        group.addTask {
          let error = await interruption()
          if !Task.isCancelled { sink.finish(throwing: error) }
        }
      }
      if let silence {
        group.addTask {
          while (try? await Task.sleep(until: given.last + silence, clock: .continuous)) != nil {
            if ContinuousClock.now >= given.last + silence {
              given.last = .now
              sink.yield(nil)
            }
          }
        }
      }
      var open = answers.count
      var entries = 0
      for try await piece in pieces {
        try await onPiece(piece)
        guard let piece else { continue }
        given.last = .now
        // Pieces that wait are taken without a pause; there may be thousands, and others use this thread, too.
        entries += piece.tokens.reduce(1) { $0 + ($1.top?.count ?? 0) }
        if entries >= Self.entriesOfTurn {
          entries = 0
          await Task.yield()
        }
        if piece.end != nil { open -= 1 }
        if open == 0 { return }
      }
      // Only a cancelled task ends the pieces without an error.
      throw CancellationError()
    }
  }

  /// When the last piece was given.
  private final class Given: Sendable {
    private let instant = Mutex(ContinuousClock.now)
    var last: ContinuousClock.Instant {
      get { instant.withLock { $0 } }
      set { instant.withLock { $0 = newValue } }
    }
  }
}
