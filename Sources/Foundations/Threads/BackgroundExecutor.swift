/// Threads of the lowest priority: work runs on them where nothing else wants the processor.
///
/// Swift's task priorities do not reach Linux's scheduler, so a task that prefers this executor is the way to keep
/// making weights from slowing those that are in use.
public final class BackgroundExecutor: TaskExecutor {
  private let queue = JobQueue()

  /// Nil where the system gives no thread at all.
  init?(threadCount: Int) {
    var started = 0
    while started < max(1, threadCount) {
      // The queue, not the executor, is what threads keep: jobs end before it does.
      let (queue, executor) = unsafe (queue, UncheckedExecutor(executor: asUnownedTaskExecutor()))
      guard (try? PlainThread.start(niceness: 19) { while let job = queue.next() { unsafe job.runSynchronously(on: executor.executor) } }) != nil else { break }
      started += 1
    }
    if started == 0 { return nil }
  }
  /// Used on the threads of its own executor alone.
  @safe private struct UncheckedExecutor: @unchecked Sendable { let executor: UnownedTaskExecutor }

  /// Ends the threads once their work is done. Nothing may run here after that.
  func end() { queue.end() }

  public func enqueue(_ job: consuming ExecutorJob) { queue.add(UnownedJob(job)) }

  /// Runs `body` and its child tasks on threads of the lowest priority; on the usual ones where there are none.
  public static func run<R: Sendable>(
    threadCount: Int, _ body: @Sendable @escaping () async throws -> R
  ) async throws -> R {
    guard let executor = BackgroundExecutor(threadCount: threadCount) else { return try await body() }
    defer { executor.end() }
    return try await withTaskExecutorPreference(executor) { try await body() }
  }
}
