import Synchronization

/// Bytes done so far, from many threads.
public final class ProgressCounter: Sendable {
  private let done = Atomic<Int>(0)
  private let all: Atomic<Int>
  /// - Parameter total: Bytes that are to be done, where that is known already.
  public init(total: Int = 0) { all = Atomic(total) }
  /// Bytes that are to be done; 0 while that is not known.
  public var total: Int { all.load(ordering: .relaxed) }
  /// Bytes done so far. Only grows, but for ``report(_:of:)``.
  public var completed: Int { done.load(ordering: .relaxed) }
  /// Adds bytes that are done; from any thread.
  public func add(_ count: Int) { done.wrappingAdd(count, ordering: .relaxed) }
  /// For work that counts by itself.
  public func report(_ completed: Int, of total: Int) {
    all.store(total, ordering: .relaxed)
    done.store(completed, ordering: .relaxed)
  }
}
