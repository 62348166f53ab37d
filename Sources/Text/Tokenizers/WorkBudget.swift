import Synchronization

/// What one piece of work may take: time by the clock, until its result is no longer wanted.
///
/// Work on untrusted input asks now and then (every few thousand steps, which is well below a millisecond).
public final class WorkBudget: Sendable {
  /// Why work that asked ``check()`` is to stop.
  public enum Exceeded: Error, Sendable, Hashable, CustomStringConvertible {
    /// The time since ``begin()`` is longer than the limit.
    case time(limit: Duration)
    /// The result is no longer wanted.
    case cancelled

    public var description: String {
      switch self {
      case .time(let limit): "it takes longer than \(limit / .seconds(1)) s"
      case .cancelled: "it was cancelled"
      }
    }
  }
  private let timeLimit: Duration
  private let created = ContinuousClock.now
  /// When the work began, in nanoseconds from ``created``; below 0 before that.
  private let begun = Atomic<Int64>(-1)
  private let cancelled = Atomic(false)

  /// - Parameter timeLimit: From ``begin()`` on.
  public init(timeLimit: Duration) { self.timeLimit = timeLimit }

  private var nanoseconds: Int64 { Int64((ContinuousClock.now - created) / .nanoseconds(1)) }

  /// Time that passes before this does not count: work may have to wait for its turn.
  public func begin() { begun.store(max(0, nanoseconds), ordering: .relaxed) }

  /// Makes the next ``check()`` throw; from any thread.
  public func cancel() { cancelled.store(true, ordering: .relaxed) }
  /// Whether ``cancel()`` was called.
  public var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

  /// - Throws: ``Exceeded`` once the time is over or ``cancel()`` was called.
  public func check() throws(Exceeded) {
    if isCancelled { throw .cancelled }
    let start = begun.load(ordering: .relaxed)
    if start >= 0, .nanoseconds(nanoseconds - start) > timeLimit { throw .time(limit: timeLimit) }
  }
}
