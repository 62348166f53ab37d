import CPUKernels

/// Threads that work on one thing together, and wait awake for the next for a moment before they sleep.
///
/// The caller of ``run(_:)`` is thread 0. A whole decode step is one run with a ``barrier(_:)`` between operations:
/// with two threads a barrier costs well under a microsecond, a run about one.
@safe package final class ThreadTeam: @unchecked Sendable {  // the C team is made for several threads; `run` traps on misuse
  private let team: OpaquePointer

  /// Threads in the team, the caller's included.
  package let threadCount: Int

  /// A team of `threadCount` threads (at least 1); fewer where the system gives no more, see ``threadCount``.
  package init(threadCount: Int) {
    guard let team = unsafe dk_team_create(Int32(clamping: threadCount)) else {
      fatalError("No memory for a team of \(threadCount) threads.")
    }
    unsafe self.team = team
    self.threadCount = unsafe Int(dk_team_count(team))
  }

  deinit { unsafe dk_team_destroy(team) }

  /// Calls `body(thread, threadCount)` once on every thread; returns when all have returned.
  ///
  /// - Parameter body: Runs on all threads at once, so it shares what it captures: give each thread its own part.
  /// - Precondition: One run at a time, and none inside another; the process aborts otherwise.
  package func run(_ body: (_ thread: Int, _ threadCount: Int) -> Void) {
    withoutActuallyEscaping(body) { body in
      var work = Work(body: body)
      unsafe withUnsafeMutablePointer(to: &work) { work in
        unsafe dk_team_run(
          team,
          { context, thread, count in
            guard let context = unsafe context else { return }
            unsafe context.assumingMemoryBound(to: Work.self).pointee.body(Int(thread), Int(count))
          }, work)
      }
    }
  }

  /// Inside a run: waits until every thread of the team has come here. All threads must call it equally often.
  ///
  /// - Parameter thread: Who calls. Not needed by today's barrier, which only counts; a barrier with a flag for each
  ///   thread would need it.
  package func barrier(_ thread: Int) { unsafe dk_team_barrier(team) }

  private struct Work {
    let body: (_ thread: Int, _ threadCount: Int) -> Void
  }
}

extension ThreadTeam {
  /// The part of `0..<count` that belongs to `thread`: parts are contiguous, in order, and differ by at most one.
  package static func share(of count: Int, thread: Int, threadCount: Int) -> Range<Int> {
    count * thread / threadCount..<count * (thread + 1) / threadCount
  }
}
