#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif
import Engines
import Threads

/// Numbers as people read them.
enum Format {
  static func fixed(_ value: Double, _ digits: Int) -> String {
    let scale = (0..<digits).reduce(1.0) { product, _ in product * 10 }
    let scaled = Int((value * scale).rounded())
    guard digits > 0 else { return String(scaled) }
    let (whole, part) = (abs(scaled) / Int(scale), abs(scaled) % Int(scale))
    let padded = String(repeating: "0", count: digits - String(part).count) + String(part)
    return (scaled < 0 ? "-" : "") + "\(whole).\(padded)"
  }
  /// Decimal units, as disks and downloads are sold.
  static func bytes(_ count: Int) -> String {
    switch count {
    case ..<1_000: "\(count) B"
    case ..<1_000_000: fixed(Double(count) / 1e3, 1) + " kB"
    case ..<1_000_000_000: fixed(Double(count) / 1e6, 1) + " MB"
    default: fixed(Double(count) / 1e9, 2) + " GB"
    }
  }
  static func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
  }
  /// To the microsecond: further digits are those of the clock's arithmetic.
  static func roundedSeconds(_ duration: Duration) -> Double { (seconds(duration) * 1e6).rounded() / 1e6 }
  static func time(_ duration: Duration) -> String {
    let value = seconds(duration)
    return value < 1 ? fixed(value * 1e3, 1) + " ms" : fixed(value, 2) + " s"
  }
  /// `1.84 GB/s`.
  static func rate(_ count: Int, _ duration: Duration) -> String {
    fixed(Double(count) / 1e9 / max(1e-9, seconds(duration)), 2) + " GB/s"
  }
}

/// A line that counts bytes while work goes on; only on a terminal.
enum ProgressLine {
  static var isTerminal: Bool { isatty(2) == 1 }

  /// Shows `counter` until the work ends, then clears the line.
  static func show<R: Sendable>(
    _ label: String, _ counter: ProgressCounter, _ work: @Sendable () async throws -> R
  ) async rethrows -> R {
    guard isTerminal else { return try await work() }
    let clock = ContinuousClock()
    let start = clock.now
    let painter = Task {
      while !Task.isCancelled {
        try? await Task.sleep(for: .milliseconds(100))
        let done = counter.completed
        let percent = counter.total > 0 ? min(100, done * 100 / counter.total) : 100
        paint("\r\(label) \(percent)% of \(Format.bytes(counter.total)), \(Format.rate(done, clock.now - start))\u{1B}[K")
      }
    }
    defer {
      painter.cancel()
      paint("\r\u{1B}[K")
    }
    return try await work()
  }

  private static func paint(_ text: String) {
    let bytes = Array(text.utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
  }
}

/// The phases of a command with their times.
struct Phases: Sendable {
  private(set) var list: [(name: String, time: Duration)] = []

  mutating func measure<R>(_ name: String, _ body: () async throws -> R) async rethrows -> R {
    let clock = ContinuousClock()
    let start = clock.now
    let result = try await body()
    list.append((name, clock.now - start))
    return result
  }
  var total: Duration { list.reduce(.zero) { $0 + $1.time } }
  var description: String { list.map { "\($0.name) \(Format.time($0.time))" }.joined(separator: ", ") }
}
