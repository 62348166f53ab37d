/// A request's events with the weights that made each choice named where they change, the first time too.
public struct VersionedEvents: AsyncSequence, Sendable {
  public typealias Element = GenerationEvent
  public typealias Failure = any Error
  private let events: AsyncThrowingStream<GenerationEvent, any Error>
  private let versions: WeightVersionLog

  /// - Parameter versions: What names the loop's weights, step by step.
  public init(_ events: AsyncThrowingStream<GenerationEvent, any Error>, versions: WeightVersionLog) {
    self.events = events
    self.versions = versions
  }

  public func makeAsyncIterator() -> Iterator { Iterator(events: events.makeAsyncIterator(), versions: versions) }

  /// Where one reader is in the events.
  public struct Iterator: AsyncIteratorProtocol {
    private var events: AsyncThrowingStream<GenerationEvent, any Error>.Iterator
    private let versions: WeightVersionLog
    private var version: String?
    private var held: GenerationEvent?

    fileprivate init(events: AsyncThrowingStream<GenerationEvent, any Error>.Iterator, versions: WeightVersionLog) {
      self.events = events
      self.versions = versions
    }

    public mutating func next() async throws -> GenerationEvent? { try await next(isolation: #isolation) }

    public mutating func next(isolation actor: isolated (any Actor)?) async throws -> GenerationEvent? {
      if let event = held.take() { return event }
      guard let event = try await events.next(isolation: actor) else { return nil }
      let step: UInt64 =
        switch event {
        case .promptScored(let tokens): tokens.last?.step ?? 0
        case .token(let token): token.step
        case .finished(_, let usage): usage.lastStep
        case .weightsChanged: 0
        }
      guard step > 0 else { return event }
      let chosenBy = versions.version(ofStep: step)
      guard chosenBy != version else { return event }
      version = chosenBy
      held = event
      return .weightsChanged(version: chosenBy)
    }
  }
}
