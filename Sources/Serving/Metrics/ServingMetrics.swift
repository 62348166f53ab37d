import Synchronization

/// What the server counts by itself; the engine's own numbers are in `LoopStatistics`.
final class ServingMetrics: Sendable {
  struct Key: Hashable, Sendable, Comparable {
    var path: String
    var status: Int
    static func < (left: Key, right: Key) -> Bool { (left.path, left.status) < (right.path, right.status) }
  }

  let requestDuration = Histogram(bounds: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300])
  let timeToFirstToken = Histogram(bounds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30])
  let tokenInterval = Histogram(bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5])
  private let requests = Mutex<[Key: Int]>([:])

  /// - Parameter path: A known path, so that clients cannot make the table grow.
  func request(path: String, status: Int, duration: Duration) {
    requests.withLock { $0[Key(path: path, status: status), default: 0] += 1 }
    requestDuration.record(duration)
  }

  func record(_ timing: AnswerTiming) {
    if let first = timing.first { timeToFirstToken.record(first - timing.start) }
  }

  var requestCounts: [(Key, Int)] { requests.withLock { $0.map { ($0, $1) } }.sorted { $0.0 < $1.0 } }
}
