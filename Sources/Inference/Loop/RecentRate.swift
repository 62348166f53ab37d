/// A moving average of a rate: each measurement counts 2 % less with every one after it.
struct RecentRate {
  private static let memory = 0.98
  private var amount = 0.0
  private var time = 0.0

  mutating func add(_ count: Int, seconds: Double) {
    amount = amount * Self.memory + Double(count)
    time = time * Self.memory + seconds
  }
  /// Units per second; nil before the first measurement.
  var rate: Double? { time > 0 ? amount / time : nil }
}
