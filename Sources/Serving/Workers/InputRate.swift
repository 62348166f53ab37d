package import NIOCore
import Synchronization

/// How fast what clients send is read, over all connections.
///
/// A client on the same machine sends gigabytes a second, and copying those through the kernel keeps the threads that carry bytes
/// from everyone else, even where nothing is done with them. What is read faster than the server's own threads could look at it
/// gains nothing. So reading has a cost, and who has cost much lately waits; the sender waits with it, for its socket is full.
///
/// Connections stand in classes by what each has cost lately: up to an eighth of the largest body, up to the largest body, more. A
/// class waits for its own cost and for that of the classes before it, never for the later ones, and has a quarter of the rate or more
/// to itself; within a class each waits for what the others have read since its own turn. So a flood over some connections does not
/// hold up a request that came over another, and no request waits for ever.
package final class InputRate: Sendable {
  /// What one connection has cost lately.
  package struct Usage: Sendable {
    fileprivate var cost = 0.0
    fileprivate var until = NIODeadline.distantPast
    package init() {}
  }
  private struct Class {
    /// Of connections that have cost at most so much.
    let cost: Double
    let bytesPerSecond: Double
    /// What may come at once after a time with nothing.
    let burst: TimeAmount
  }
  /// A connection that has cost no more lately never waits.
  package static let uncounted = 64 << 10
  private let classes: [Class]
  /// Of the rate: so much of what a connection has cost is forgotten each second.
  private static let forgottenShare = 1.0 / 256
  private let forgottenPerSecond: Double
  /// When all that a class and those before it have cost would have been read at its rate.
  private let paidUntil: Mutex<[NIODeadline]>

  /// - Parameter largestBody: In bytes. One of this size, an eighth more for its framing, is never slowed by itself.
  package init(bytesPerSecond: Int, largestBody: Int) {
    let (rate, largest) = (Double(max(1, bytesPerSecond)), Double(largestBody) * 1.125)
    classes = [(largest / 8, 0.5), (largest, 0.75), (.infinity, 1)].map { cost, share in
      Class(cost: cost, bytesPerSecond: rate * share, burst: Self.time(largest, at: rate * share))
    }
    forgottenPerSecond = rate * Self.forgottenShare
    paidUntil = Mutex(Array(repeating: .distantPast, count: classes.count))
  }

  /// Counts what a connection has cost, in bytes, and says when it may read on.
  package func take(_ cost: Int, by usage: inout Usage, at now: NIODeadline) -> NIODeadline {
    let passed = Double((max(now, usage.until) - usage.until).nanoseconds) / 1e9
    usage.cost = max(0, usage.cost - passed * forgottenPerSecond) + Double(cost)
    usage.until = now
    let lately = usage.cost
    let own = classes.firstIndex { lately <= $0.cost } ?? classes.count - 1
    return paidUntil.withLock { paid in
      for index in own..<classes.count {
        let (rate, burst) = (classes[index].bytesPerSecond, classes[index].burst)
        paid[index] = max(paid[index], now - burst) + Self.time(Double(cost), at: rate)
      }
      return lately <= Double(Self.uncounted) ? now : paid[own]
    }
  }

  private static func time(_ cost: Double, at bytesPerSecond: Double) -> TimeAmount {
    .nanoseconds(Int64((cost * 1e9 / bytesPerSecond).rounded()))
  }
}
