import Files

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Threads of the lowest priority: work runs on them where nothing else wants the processor.
///
/// Swift's task priorities do not reach Linux's scheduler, so a task that prefers this executor is the way to keep
/// making weights from slowing those that are in use.
final class BackgroundExecutor: TaskExecutor {
  /// What threads and executor share; outlives whichever ends first.
  private final class Queue: Sendable {
    private let state = Monitor((jobs: [UnownedJob](), ends: false))

    func add(_ job: UnownedJob) { state.change { $0.jobs.append(job) } }
    func end() { state.change { $0.ends = true } }
    /// Nil once it has ended and is empty.
    func next() -> UnownedJob? {
      state.wait { state -> UnownedJob?? in
        if !state.jobs.isEmpty { return .some(state.jobs.removeFirst()) }
        return state.ends ? .some(nil) : nil
      }
    }
  }
  @safe private final class Body {
    let queue: Queue
    let executor: UnownedTaskExecutor
    init(_ queue: Queue, _ executor: UnownedTaskExecutor) {
      self.queue = queue
      unsafe self.executor = unsafe executor
    }
    func run() {
      // Of this thread, on Linux.
      #if canImport(Glibc)
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
      #else
        _ = setpriority(PRIO_PROCESS, 0, 19)
      #endif
      while let job = queue.next() { unsafe job.runSynchronously(on: executor) }
    }
  }
  private let queue = Queue()

  /// Nil where the system gives no thread at all.
  init?(threadCount: Int) {
    var started = 0
    for _ in 0..<max(1, threadCount) {
      let body = unsafe Unmanaged.passRetained(Body(queue, asUnownedTaskExecutor()))
      var thread = pthread_t()
      let code = unsafe pthread_create(
        &thread, nil,
        { argument in
          if let argument = unsafe argument { unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
          return nil
        }, body.toOpaque())
      guard code == 0 else {
        unsafe body.release()
        break
      }
      pthread_detach(thread)
      started += 1
    }
    if started == 0 { return nil }
  }

  /// Ends the threads once their work is done. Nothing may run here after that.
  func end() { queue.end() }

  func enqueue(_ job: consuming ExecutorJob) { queue.add(UnownedJob(job)) }

  /// Runs `body` and its child tasks on threads of the lowest priority; on the usual ones where there are none.
  static func run<R: Sendable>(
    threadCount: Int, _ body: @Sendable @escaping () async throws -> R
  ) async throws -> R {
    guard let executor = BackgroundExecutor(threadCount: threadCount) else { return try await body() }
    defer { executor.end() }
    return try await withTaskExecutorPreference(executor) { try await body() }
  }
}
