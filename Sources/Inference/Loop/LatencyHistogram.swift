/// Counts durations by size, the way Prometheus wants them.
public struct LatencyHistogram: Sendable, Hashable {
  /// Upper bounds of the buckets in seconds; durations above the last count in ``count`` only.
  public static let bounds: [Double] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
  ]
  /// Durations at most ``bounds``, each bucket with those of the smaller ones.
  public private(set) var cumulativeCounts = [UInt64](repeating: 0, count: bounds.count)
  /// Of all durations, also of those above the last of ``bounds``.
  public private(set) var count: UInt64 = 0
  /// Of all durations, in seconds.
  public private(set) var sum = 0.0

  /// Empty.
  public init() {}

  /// Counts one duration.
  public mutating func record(_ seconds: Double) {
    count += 1
    sum += seconds
    for index in Self.bounds.indices.reversed() {
      guard seconds <= Self.bounds[index] else { return }
      cumulativeCounts[index] += 1
    }
  }
}
