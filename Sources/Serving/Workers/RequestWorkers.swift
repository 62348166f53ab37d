import Files
import Inference
import Threads
import Tokenizers

/// Threads of the server's own for all work whose amount a client chooses: reading a request's JSON, rendering its
/// template, cutting its texts into tokens, putting long answers together.
///
/// Neither the threads that carry bytes nor those on which streams are written ever do such work, so whatever a request
/// asks for, others' streams and `/health` go on. Jobs wait in two queues, small and large ones; large ones never have all
/// threads. Within a queue clients take turns. What finds no room is refused (429).
package final class RequestWorkers: Sendable {
  package struct Options: Sendable {
    package var threadCount = Self.defaultThreadCount
    /// Jobs that wait in each queue.
    package var maximumWaiting = 128
    /// How long one job may run.
    package var timeLimit: Duration = .seconds(10)
    /// How long one may wait for its turn.
    package var waitLimit: Duration = .seconds(30)

    /// Two at least, so that a large job does not keep small ones waiting; few, for the engine needs the processors.
    static let defaultThreadCount = max(2, min(4, Processors.count / 2))
  }
  enum Size: Sendable, Hashable { case small, large }

  private struct Job: Sendable {
    let budget: WorkBudget
    let enqueued: ContinuousClock.Instant
    /// Nil: waits for as long as it takes.
    let waitLimit: Duration?
    let run: @Sendable () -> Void
    let refuse: @Sendable (any Error) -> Void
  }
  private struct State {
    var small: FairQueue<Job>
    var large: FairQueue<Job>
    var runningSmall = 0
    var runningLarge = 0
    var lastID: UInt64 = 0
    var ends = false

    mutating func remove(_ id: UInt64) -> Job? { (small.remove(id) ?? large.remove(id))?.job }

    /// What a free thread does next.
    mutating func take(threadCount: Int) -> (Job, Size)? {
      let mayBeLarge = runningLarge < max(1, threadCount - 1)
      // One thread always gets through the large ones, while the others see to the small ones first.
      if mayBeLarge, runningLarge == 0 || small.count == 0, let entry = large.next() {
        runningLarge += 1
        return (entry.job, .large)
      }
      guard let entry = small.next() else { return nil }
      runningSmall += 1
      return (entry.job, .small)
    }
  }
  let options: Options
  private let state: Monitor<State>
  private let hasThreads: Bool

  init(options: Options = .init()) {
    self.options = options
    let state = Monitor(
      State(small: FairQueue(limit: options.maximumWaiting), large: FairQueue(limit: options.maximumWaiting)))
    self.state = state
    var started = 0
    for _ in 0..<max(1, options.threadCount) {
      do {
        try PlainThread.start(niceness: Self.niceness) { Self.work(state, threadCount: options.threadCount) }
        started += 1
      } catch { break }
    }
    hasThreads = started > 0
  }
  deinit {
    var left: [Job] = []
    state.change { state in
      state.ends = true
      left = (state.small.removeAll() + state.large.removeAll()).map(\.job)
    }
    for job in left { job.refuse(CancellationError()) }
  }

  /// Behind the threads that compute, which all answers wait for, but not so far that a prompt is never read.
  private static let niceness: Int32 = 5

  /// Jobs that wait, and that run.
  var load: (waiting: Int, running: Int) {
    var load = (waiting: 0, running: 0)
    state.change { load = ($0.small.count + $0.large.count, $0.runningSmall + $0.runningLarge) }
    return load
  }

  /// Runs `body` on one of the threads. Cancelling the task takes it out of the queue, or tells it through its budget.
  ///
  /// - Parameters:
  ///   - client: Who takes turns.
  ///   - isBounded: False for what has to be done in any case, such as the reply to an answer that has been made.
  /// - Throws: What `body` throws; ``APIError`` where there is no room, or too much time has passed.
  func run<R: Sendable>(
    for client: String, _ size: Size, isBounded: Bool = true, _ body: @escaping @Sendable (WorkBudget) throws -> R
  ) async throws -> R {
    guard hasThreads else { throw APIError.unavailable("the system gives this server no more threads.") }
    let budget = WorkBudget(timeLimit: options.timeLimit)
    var id: UInt64 = 0
    state.change { state in
      state.lastID += 1
      id = state.lastID
    }
    let place = id
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<R, any Error>) in
        let job = Job(
          budget: budget, enqueued: .now, waitLimit: isBounded ? options.waitLimit : nil,
          run: {
            let result = Result { try body(budget) }
            continuation.resume(with: budget.isCancelled ? .failure(CancellationError()) : result)
          },
          refuse: { continuation.resume(throwing: $0) })
        let entry = FairQueue<Job>.Entry(id: place, client: client, job: job)
        var displaced: FairQueue<Job>.Entry?
        state.change { state in
          switch size {
          case .small: displaced = state.small.add(entry, isBounded: isBounded)
          case .large: displaced = state.large.add(entry, isBounded: isBounded)
          }
        }
        displaced?.job.refuse(Self.busy)
        // Cancelled before it stood in the queue: nobody else takes it out.
        if budget.isCancelled { drop(place) }
      }
    } onCancel: {
      budget.cancel()
      drop(place)
    }
  }

  private func drop(_ id: UInt64) {
    var job: Job?
    state.change { job = $0.remove(id) }
    job?.refuse(CancellationError())
  }

  private static var busy: APIError { .busy("Too many requests wait to be read.", retryAfter: 2) }

  /// One thread, until the end.
  private static func work(_ state: Monitor<State>, threadCount: Int) {
    while true {
      let next = state.wait { state -> (Job, Size)?? in
        if let next = state.take(threadCount: threadCount) { return .some(next) }
        return state.ends ? .some(nil) : nil
      }
      guard let (job, size) = next else { return }
      if job.budget.isCancelled {
        job.refuse(CancellationError())
      } else if let limit = job.waitLimit, ContinuousClock.now - job.enqueued > limit {
        job.refuse(busy)
      } else {
        job.budget.begin()
        job.run()
      }
      state.change { state in
        switch size {
        case .small: state.runningSmall -= 1
        case .large: state.runningLarge -= 1
        }
      }
    }
  }
}
