import Files

/// Jobs on their way to an executor's threads; outlives whichever of both ends first.
final class JobQueue: Sendable {
  private let state = Monitor((jobs: [UnownedJob](), ends: false))

  func add(_ job: UnownedJob) { state.change { $0.jobs.append(job) } }
  func end() { state.change { $0.ends = true } }
  /// Waits for a job; nil once the queue has ended and is empty.
  func next() -> UnownedJob? {
    state.wait { state -> UnownedJob?? in
      if !state.jobs.isEmpty { return .some(state.jobs.removeFirst()) }
      return state.ends ? .some(nil) : nil
    }
  }
}
