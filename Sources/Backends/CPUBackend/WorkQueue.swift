import Synchronization

/// Hands out items of one operation to a team's threads.
final class WorkQueue: Sendable {
  private let next = Atomic<Int>(0)
  /// Between two barriers, by one thread.
  func reset() { next.store(0, ordering: .relaxed) }
  func take(below limit: Int) -> Int? {
    let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
    return index < limit ? index : nil
  }
}
