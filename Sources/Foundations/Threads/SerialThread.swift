/// A thread of its own for one actor whose work may take long: comparing weights, giving memory back. Others' tasks, which
/// share few threads, do not wait for it.
public final class SerialThread: SerialExecutor {
  private let queue = JobQueue()

  /// - Throws: Where the system gives no thread.
  public static func start() throws(ThreadError) -> SerialThread {
    let executor = SerialThread()
    try PlainThread.start { while let job = executor.queue.next() { unsafe job.runSynchronously(on: executor.asUnownedSerialExecutor()) } }
    return executor
  }
  private init() {}

  /// Ends the thread once its work is done. Nothing may run here after that.
  public func end() { queue.end() }

  public func enqueue(_ job: consuming ExecutorJob) { queue.add(UnownedJob(job)) }
}
