/// Looks for stop strings in a text that arrives in pieces, and holds back what may become one.
///
/// A pure value: what it gives out is never taken back, and never part of a stop string.
struct StopStringScanner: Sendable {
  private let stops: [[UInt8]]
  private let includesStop: Bool
  /// Bytes that are the beginning of some stop string, and so may not be shown yet.
  private var held: [UInt8] = []
  /// The string that ended the text; nothing more may be appended.
  private(set) var match: String?

  init(_ stops: [String], includesStop: Bool) {
    self.stops = stops.map { Array($0.utf8) }
    self.includesStop = includesStop
  }

  /// The text that may be shown now that `piece` is known.
  ///
  /// - Complexity: O((held + piece) · sum of stop lengths); stop lengths are bounded by the request's limits.
  mutating func append(_ piece: String) -> String {
    if stops.isEmpty { return piece }
    held.append(contentsOf: piece.utf8)
    for start in held.indices {
      // The earliest start wins; of several that start there, the one listed first.
      guard let stop = stops.first(where: { occurs($0, at: start) }) else { continue }
      match = String(decoding: stop, as: UTF8.self)
      defer { held = [] }
      return String(decoding: held[..<(includesStop ? start + stop.count : start)], as: UTF8.self)
    }
    // Everything from where a stop string may have begun has to wait for more.
    let safe = held.indices.first { start in stops.contains { begins($0, at: start) } } ?? held.count
    defer { held.removeFirst(safe) }
    return String(decoding: held[..<safe], as: UTF8.self)
  }

  /// What was held back, at the end of a text that no stop string ended.
  mutating func finish() -> String {
    defer { held = [] }
    return String(decoding: held, as: UTF8.self)
  }

  private func occurs(_ stop: [UInt8], at start: Int) -> Bool { held[start...].starts(with: stop) }
  private func begins(_ stop: [UInt8], at start: Int) -> Bool {
    held.count - start < stop.count && stop.starts(with: held[start...])
  }
}
