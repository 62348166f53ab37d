import Synchronization

/// Hands out 0, 1, 2, … to many threads, each number once.
public final class Counter: Sendable {
  private let next = Atomic<Int>(0)
  /// The first number is 0.
  public init() {}

  /// The next number, or nil from `limit` on.
  public func take(below limit: Int) -> Int? {
    let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
    return index < limit ? index : nil
  }
  /// Begins anew at 0. For one thread, while no other takes.
  public func reset() { next.store(0, ordering: .relaxed) }
  /// Gives out nothing more below `limit`.
  func end(at limit: Int) { next.store(limit, ordering: .relaxed) }
}
