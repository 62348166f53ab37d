import Synchronization

/// What the loop's thread and everybody else share.
final class LoopCore: Sendable {
  private let inbox = Mutex(LoopInbox())
  private let published = Mutex(LoopStatistics())
  private let signal = WakeSignal()

  // MARK: From anywhere

  func submit(
    _ request: GenerationRequest, sampler: Sampler, maximumQueued: Int
  ) throws(SubmitError) -> AsyncThrowingStream<GenerationEvent, any Error> {
    let (stream, continuation) = AsyncThrowingStream.makeStream(of: GenerationEvent.self, throwing: (any Error).self)
    let submitted = ContinuousClock.now
    let id = try inbox.withLock { (inbox) throws(SubmitError) in
      guard inbox.stop == nil else { throw .stopping }
      guard inbox.queuedCount < maximumQueued else {
        inbox.refusedCount += 1
        throw .queueFull(waiting: inbox.queuedCount, limit: maximumQueued)
      }
      inbox.queuedCount += 1
      inbox.lastArrival += 1
      let id = SequenceID(arrival: inbox.lastArrival)
      inbox.submissions.append(
        .init(
          id: id, request: request, sampler: sampler, submitted: submitted, continuation: continuation))
      return id
    }
    // The loop may have ended the stream by now; then this is called at once, which does no harm.
    continuation.onTermination = { [weak self] reason in
      if case .cancelled = reason { self?.cancel(id) }
    }
    signal.wake()
    return stream
  }

  private func cancel(_ id: SequenceID) {
    inbox.withLock { $0.hasEnded ? () : $0.cancellations.append(id) }
    signal.wake()
  }

  func post(_ action: LoopInbox.Action) {
    let isTaken = inbox.withLock { inbox in
      guard !inbox.hasEnded else { return false }
      inbox.actions.append(action)
      return true
    }
    if isTaken { signal.wake() } else { action.refuse() }
  }

  func requestStop(_ stop: LoopInbox.Stop) {
    inbox.withLock { if $0.stop != .now { $0.stop = stop } }
    signal.wake()
  }

  func waitForEnd() async {
    await withCheckedContinuation { continuation in
      let hasEnded = inbox.withLock { inbox in
        if !inbox.hasEnded { inbox.awaitingEnd.append(continuation) }
        return inbox.hasEnded
      }
      if hasEnded { continuation.resume() }
    }
  }

  var statistics: LoopStatistics {
    var statistics = published.withLock { $0 }
    inbox.withLock { inbox in
      statistics.queued += inbox.submissions.count
      statistics.pendingActions += inbox.actions.count
      statistics.isStopping = inbox.stop != nil
      statistics.submittedRequests = inbox.lastArrival
      statistics.refusedRequests = inbox.refusedCount
    }
    return statistics
  }

  // MARK: From the loop's thread

  /// Takes out everything that was asked for; what only informs stays.
  func takeNews() -> LoopInbox {
    inbox.withLock { inbox in
      let news = inbox
      inbox.submissions.removeAll()
      inbox.cancellations.removeAll()
      inbox.actions.removeAll()
      return news
    }
  }
  func sleep() { signal.wait() }
  func publish(_ statistics: LoopStatistics) { published.withLock { $0 = statistics } }
  func leftQueue(_ count: Int) { inbox.withLock { $0.queuedCount -= count } }

  /// Ends the loop unless something came in meanwhile.
  func endIfNothingIsNew() -> Bool {
    let awaiting = inbox.withLock { inbox -> [CheckedContinuation<Void, Never>]? in
      // Cancellations of what has ended are no reason to go on.
      guard inbox.submissions.isEmpty, inbox.actions.isEmpty else { return nil }
      inbox.hasEnded = true
      defer { inbox.awaitingEnd = [] }
      return inbox.awaitingEnd
    }
    guard let awaiting else { return false }
    for continuation in awaiting { continuation.resume() }
    return true
  }
}
