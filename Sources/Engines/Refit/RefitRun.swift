import Synchronization
public import SystemPackage
import Threads

/// How far a refit has come, in bytes of the engine's weights.
public struct RefitProgress: Sendable, Equatable {
  /// Bytes done so far: made and written, or taken from the engine.
  public let completed: Int
  /// Bytes of all weights of the ranks that are written.
  public let total: Int
  /// 0 to 1.
  public var fraction: Double { total > 0 ? Double(completed) / Double(total) : 1 }
}

/// A refit that is being written: its progress, its end, and a way to stop it. See ``Refitter/start(_:from:to:)``.
public final class RefitRun: Sendable {
  private let task: Task<RefitSummary, any Error>
  private let counter: ProgressCounter
  private let end: End

  init(_ counter: ProgressCounter, _ work: @escaping @Sendable () async throws -> RefitSummary) {
    let end = End()
    self.counter = counter
    self.end = end
    task = Task {
      defer { end.isReached.store(true, ordering: .releasing) }
      let summary = try await work()
      // Ranks that another process had finished were not counted.
      counter.report(counter.total, of: counter.total)
      return summary
    }
  }

  /// Ends the work at the next tile, unless it is done by then. The target stays as it was, and ``summary`` throws
  /// `CancellationError`.
  public func cancel() { task.cancel() }

  package var isCancelled: Bool { task.isCancelled }

  /// What the refit did, once it is done. Cancelling the task that waits here cancels the refit.
  public var summary: RefitSummary {
    get async throws {
      try await withTaskCancellationHandler {
        try await task.value
      } onCancel: {
        cancel()
      }
    }
  }

  /// Each state of progress that is new, until the refit ends, well or not; after a success the last has everything.
  /// Any number of tasks may read, each from where the work is; cancelling one ends its reading only.
  public var progress: Progress { Progress(run: self) }

  /// States of progress, looked at when they are asked for; a slow reader misses some.
  public struct Progress: AsyncSequence, Sendable {
    public typealias Element = RefitProgress
    public typealias Failure = Never
    fileprivate let run: RefitRun
    public func makeAsyncIterator() -> Iterator { Iterator(run: run) }

    /// Waits for the next state; nil after the last.
    public struct Iterator: AsyncIteratorProtocol {
      /// Errors of the refit are thrown by ``RefitRun/summary``.
      public typealias Failure = Never
      fileprivate let run: RefitRun
      private var last = -1

      fileprivate init(run: RefitRun) { self.run = run }

      /// Looks every 20 ms, so that counting costs the workers nothing and a slow reader delays nothing.
      public mutating func next(isolation actor: isolated (any Actor)?) async throws(Never) -> RefitProgress? {
        while true {
          let isEnd = run.end.isReached.load(ordering: .acquiring)
          let now = RefitProgress(completed: run.counter.completed, total: run.counter.total)
          if now.completed > last {
            last = now.completed
            return now
          }
          if isEnd { return nil }
          do { try await Task.sleep(for: .milliseconds(20)) } catch { return nil }
        }
      }
      public mutating func next() async -> RefitProgress? { await next(isolation: nil) }
    }
  }

  private final class End: Sendable {
    let isReached = Atomic(false)
  }
}

extension Refitter {
  /// Writes the refitted engine as ``write(_:from:to:progress:)`` does, without waiting for it.
  ///
  /// ```swift
  /// let run = refitter.start(prepared, from: source, to: "engines/v2")
  /// for await progress in run.progress { print(Int(100 * progress.fraction), "%") }
  /// let summary = try await run.summary
  /// ```
  public func start(_ prepared: Prepared, from source: RefitSource, to target: FilePath) -> RefitRun {
    let counter = ProgressCounter(total: prepared.byteCount)
    return RefitRun(counter) { try await write(prepared, from: source, to: target, progress: counter) }
  }
}
