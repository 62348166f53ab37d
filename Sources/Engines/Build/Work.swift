import Synchronization

/// Runs independent jobs on worker threads, largest first, and stops at the first error.
enum Work {
  /// - Parameters:
  ///   - jobs: With the bytes each will move, which decides the order.
  ///   - makeWorker: Called once on each worker for its own scratch memory.
  static func run<Job: Sendable, Worker>(
    _ jobs: [(cost: Int, job: Job)], workers: Int, makeWorker: @escaping @Sendable () -> Worker,
    _ body: @escaping @Sendable (Worker, Job) throws -> Void
  ) async throws {
    try await share(jobs, workers: workers, makeWorker: makeWorker) { worker, take in
      while let job = take() {
        try Task.checkCancellation()
        try body(worker, job)
      }
    }
  }

  /// - Parameter body: Called once on each worker; takes jobs until there are none.
  static func share<Job: Sendable, Worker>(
    _ jobs: [(cost: Int, job: Job)], workers: Int, makeWorker: @escaping @Sendable () -> Worker,
    _ body: @escaping @Sendable (Worker, _ take: () -> Job?) throws -> Void
  ) async throws {
    let ordered = jobs.enumerated().sorted { ($1.element.cost, $0.offset) < ($0.element.cost, $1.offset) }.map(\.element.job)
    let next = Counter()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<max(1, min(workers, ordered.count)) {
        group.addTask { try body(makeWorker()) { next.take(below: ordered.count).map { ordered[$0] } } }
      }
      // The first error cancels the others; each stops after the job in its hands.
      for try await _ in group {}
    }
  }
}

/// Hands out 0, 1, 2, … to many threads.
final class Counter: Sendable {
  private let value = Atomic<Int>(0)
  func take(below limit: Int) -> Int? {
    let index = value.wrappingAdd(1, ordering: .relaxed).oldValue
    return index < limit ? index : nil
  }
}

/// Bytes done so far, from many threads.
public final class ProgressCounter: Sendable {
  private let done = Atomic<Int>(0)
  private let all: Atomic<Int>
  /// - Parameter total: Bytes that are to be done, where that is known already.
  public init(total: Int = 0) { all = Atomic(total) }
  /// Bytes that are to be done; 0 while that is not known.
  public var total: Int { all.load(ordering: .relaxed) }
  /// Bytes done so far. Only grows, but for ``report(_:of:)``.
  public var completed: Int { done.load(ordering: .relaxed) }
  func add(_ count: Int) { done.wrappingAdd(count, ordering: .relaxed) }
  /// For work that counts by itself.
  public func report(_ completed: Int, of total: Int) {
    all.store(total, ordering: .relaxed)
    done.store(completed, ordering: .relaxed)
  }
}
