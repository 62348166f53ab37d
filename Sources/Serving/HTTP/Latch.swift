import Synchronization

/// Something that happens once, and that any number of tasks may wait for.
final class Latch: Sendable {
  private struct State {
    var isOpen = false
    var waiters: [Int: AsyncStream<Void>.Continuation] = [:]
    var next = 0
  }
  private let state = Mutex(State())

  var isOpen: Bool { state.withLock { $0.isOpen } }

  func open() {
    let waiters = state.withLock { state in
      state.isOpen = true
      defer { state.waiters = [:] }
      return Array(state.waiters.values)
    }
    for waiter in waiters { waiter.finish() }
  }

  /// Returns once the latch is open, or when its task is cancelled.
  func wait() async {
    let (stream, continuation) = AsyncStream<Void>.makeStream()
    let waiter = state.withLock { state -> Int? in
      if state.isOpen { return nil }
      state.next += 1
      state.waiters[state.next] = continuation
      return state.next
    }
    guard let waiter else { return }
    for await _ in stream {}
    _ = state.withLock { $0.waiters.removeValue(forKey: waiter) }
  }
}
