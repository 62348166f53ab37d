package import NIOCore
import Synchronization

/// How fast the rest of large bodies is read, over all connections.
///
/// A client on the same machine sends gigabytes a second, and copying those through the kernel keeps the threads that carry bytes
/// from everyone else, even where nothing is done with them. What is read faster than the server's own threads could look at it
/// gains nothing. So who has sent more than its share waits, and the sender waits with it, for its socket is full.
package final class BodyRate: Sendable {
  /// Of each body, so many bytes are read as they come.
  package static let uncounted = BodyMemory.uncounted
  private let bytesPerSecond: Int
  /// What may come at once after a time with nothing.
  private let burst: TimeAmount
  /// When all that has been read would have been read at the rate.
  private let paidUntil: Mutex<NIODeadline>

  /// - Parameter burstBytes: One body of the largest size is never slowed by itself.
  package init(bytesPerSecond: Int, burstBytes: Int) {
    self.bytesPerSecond = bytesPerSecond
    burst = Self.time(burstBytes, at: bytesPerSecond)
    paidUntil = Mutex(.now() - burst)
  }

  /// Counts bytes that were read, and says when their connection may read on.
  package func take(_ byteCount: Int, at now: NIODeadline = .now()) -> NIODeadline {
    let cost = Self.time(byteCount, at: bytesPerSecond)
    return paidUntil.withLock { paid in
      paid = max(paid, now - burst) + cost
      return paid
    }
  }

  private static func time(_ byteCount: Int, at bytesPerSecond: Int) -> TimeAmount {
    .nanoseconds(Int64(byteCount) * 1_000_000_000 / Int64(max(1, bytesPerSecond)))
  }
}
