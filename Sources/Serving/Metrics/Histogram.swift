import Synchronization

/// Counts of durations by upper bound, as Prometheus wants them.
final class Histogram: Sendable {
  struct Snapshot: Sendable {
    /// Observations at or below each bound, not cumulated; the last is those above all bounds.
    var counts: [Int]
    var sum = 0.0
  }
  /// Seconds, rising.
  let bounds: [Double]
  private let state: Mutex<Snapshot>

  init(bounds: [Double]) {
    self.bounds = bounds
    state = Mutex(Snapshot(counts: Array(repeating: 0, count: bounds.count + 1)))
  }

  func record(_ duration: Duration) { record(seconds: duration / .seconds(1)) }

  func record(seconds: Double) {
    let place = bounds.firstIndex { seconds <= $0 } ?? bounds.count
    state.withLock {
      $0.counts[place] += 1
      $0.sum += seconds
    }
  }

  var snapshot: Snapshot { state.withLock { $0 } }
}
