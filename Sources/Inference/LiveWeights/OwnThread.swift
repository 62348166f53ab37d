import Files

/// A thread of its own for one actor whose work may take long: comparing weights, giving memory back. Others' tasks, which
/// share few threads, do not wait for it.
final class OwnThread: SerialExecutor {
  private let state = Monitor((jobs: [UnownedJob](), ends: false))

  /// - Throws: where the system gives no thread.
  static func start() throws(EngineLoopError) -> OwnThread {
    let executor = OwnThread()
    try LoopThread.start { executor.work() }
    return executor
  }

  /// Ends the thread once its work is done. Nothing may run here after that.
  func end() { state.change { $0.ends = true } }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    state.change { $0.jobs.append(job) }
  }

  private func work() {
    while true {
      let next = state.wait { state -> UnownedJob?? in
        if !state.jobs.isEmpty { return .some(state.jobs.removeFirst()) }
        return state.ends ? .some(nil) : nil
      }
      guard let next else { return }
      unsafe next.runSynchronously(on: asUnownedSerialExecutor())
    }
  }
}
