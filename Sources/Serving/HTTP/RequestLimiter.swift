import Synchronization

/// Counts what is going on at once and refuses more than a limit.
final class RequestLimiter: Sendable {
  /// Held while the work lasts; letting go of it makes room.
  final class Place: Sendable {
    private let limiter: RequestLimiter
    fileprivate init(_ limiter: RequestLimiter) { self.limiter = limiter }
    deinit { limiter.count.withLock { $0 -= 1 } }
  }
  let limit: Int
  private let count = Mutex(0)

  init(limit: Int) { self.limit = limit }

  var taken: Int { count.withLock { $0 } }

  /// A place, or nil where none is left.
  func enter() -> Place? {
    let entered = count.withLock { taken in
      if taken < limit { taken += 1; return true }
      return false
    }
    return entered ? Place(self) : nil
  }
}
