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
  @safe private final class Queue: @unchecked Sendable {  // all state is guarded by the mutex
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [UnownedJob] = []
    private var ends = false

    init() {
      unsafe mutex.initialize(to: pthread_mutex_t())
      unsafe condition.initialize(to: pthread_cond_t())
      unsafe pthread_mutex_init(mutex, nil)
      unsafe pthread_cond_init(condition, nil)
    }
    deinit {
      unsafe pthread_cond_destroy(condition)
      unsafe pthread_mutex_destroy(mutex)
      unsafe condition.deallocate()
      unsafe mutex.deallocate()
    }

    func add(_ job: UnownedJob) {
      unsafe pthread_mutex_lock(mutex)
      jobs.append(job)
      unsafe pthread_cond_signal(condition)
      unsafe pthread_mutex_unlock(mutex)
    }
    func end() {
      unsafe pthread_mutex_lock(mutex)
      ends = true
      unsafe pthread_cond_broadcast(condition)
      unsafe pthread_mutex_unlock(mutex)
    }
    /// Nil once it has ended and is empty.
    func next() -> UnownedJob? {
      unsafe pthread_mutex_lock(mutex)
      defer { unsafe pthread_mutex_unlock(mutex) }
      while jobs.isEmpty && !ends { unsafe pthread_cond_wait(condition, mutex) }
      return jobs.isEmpty ? nil : jobs.removeFirst()
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
