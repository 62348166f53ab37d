/// Independent jobs as tasks, largest first, which stop at the first error: they run where the caller's tasks prefer to, and
/// end with them.
public enum Jobs {
  /// - Parameters:
  ///   - jobs: With the bytes each will move, which decides the order.
  ///   - makeWorker: Called once on each worker for its own scratch memory.
  public static func run<Job: Sendable, Worker>(
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
  public static func share<Job: Sendable, Worker>(
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
