import Engines
import Execution
import Synchronization
import Threads

/// Runs one rank: on the caller's thread where it is the only one, else on a thread of its own.
@safe final class RankWorker: Sendable {
  let executor: RankExecutor
  private let ownThread: OwnThread?

  init(_ executor: RankExecutor, ownThread: Bool) {
    self.executor = executor
    self.ownThread = ownThread ? OwnThread() : nil
  }

  func start(_ batch: Batch, _ layout: StepLayout) {
    guard let ownThread else { return executor.step(batch, layout) }
    let executor = executor
    ownThread.start { executor.step(batch, layout) }
  }

  func wait() { ownThread?.wait() }
}

/// A thread that runs one closure at a time.
@safe final class OwnThread: Sendable {
  /// What the thread and its owner share; outlives whichever ends first.
  @safe private final class State: @unchecked Sendable {  // `job` and `ends` change only between the two meetings
    let start = Rendezvous(count: 2)
    let done = Rendezvous(count: 2)
    var job: (@Sendable () -> Void)?
    var ends = false
  }
  private let state = State()

  init() {
    let state = state
    do {
      try PlainThread.start {
        while true {
          state.start.meet()
          if state.ends { return }
          state.job?()
          state.job = nil
          state.done.meet()
        }
      }
    } catch { preconditionFailure("\(error)") }
  }
  deinit { state.start.meet { state.ends = true } }

  func start(_ job: @escaping @Sendable () -> Void) { state.start.meet { state.job = job } }
  func wait() { state.done.meet() }
}
