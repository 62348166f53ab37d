import Inference

/// A loop's events as the server's, with the weights that made each choice named where they change, the first time too.
struct VersionedEvents: AsyncSequence, Sendable {
  typealias Element = CompletionEvent
  typealias Failure = any Error
  let events: AsyncThrowingStream<GenerationEvent, any Error>
  let versions: WeightVersionLog

  func makeAsyncIterator() -> Iterator { Iterator(events: events.makeAsyncIterator(), versions: versions) }

  struct Iterator: AsyncIteratorProtocol {
    var events: AsyncThrowingStream<GenerationEvent, any Error>.Iterator
    let versions: WeightVersionLog
    private var version: String?
    private var held: CompletionEvent?

    init(events: AsyncThrowingStream<GenerationEvent, any Error>.Iterator, versions: WeightVersionLog) {
      self.events = events
      self.versions = versions
    }

    mutating func next() async throws -> CompletionEvent? { try await next(isolation: #isolation) }

    mutating func next(isolation actor: isolated (any Actor)?) async throws -> CompletionEvent? {
      if let event = held.take() { return event }
      guard let event = try await events.next(isolation: actor) else { return nil }
      let step: UInt64 =
        switch event {
        case .promptScored(let tokens): tokens.last?.step ?? 0
        case .token(let token): token.step
        case .finished(_, let usage): usage.lastStep
        }
      guard step > 0 else { return CompletionEvent(event) }
      let chosenBy = versions.version(ofStep: step)
      guard chosenBy != version else { return CompletionEvent(event) }
      version = chosenBy
      held = CompletionEvent(event)
      return .weightsChanged(version: chosenBy)
    }
  }
}

extension CompletionEvent {
  init(_ event: GenerationEvent) {
    switch event {
    case .promptScored(let tokens): self = .promptScored(tokens.map { ChosenToken($0) })
    case .token(let token): self = .token(ChosenToken(token))
    case .finished(let reason, let usage):
      let end: CompletionEnd =
        switch reason {
        case .stop(let token): .stopToken(token)
        case .length: .length
        case .cancelled: .cancelled
        }
      self = .finished(
        end,
        CompletionUsage(
          promptTokens: usage.promptTokens, cachedPromptTokens: usage.cachedPromptTokens,
          generatedTokens: usage.generatedTokens))
    }
  }
}

extension ChosenToken {
  fileprivate init(_ token: GeneratedToken) {
    self.init(
      id: token.id, logProbability: token.logProbability,
      alternatives: (token.top ?? []).map { TokenProbability(id: $0.id, logProbability: $0.logProbability) })
  }
}
