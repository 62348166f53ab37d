/// A rate over the last fifty times or so: what is longer ago counts less and less.
struct RecentRate {
  private static let memory = 0.98
  private var amount = 0.0
  private var time = 0.0

  mutating func add(_ count: Int, seconds: Double) {
    amount = amount * Self.memory + Double(count)
    time = time * Self.memory + seconds
  }
  /// A second; nil where no time has passed.
  var rate: Double? { time > 0 ? amount / time : nil }
}
