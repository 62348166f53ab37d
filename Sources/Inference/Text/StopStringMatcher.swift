/// Finds stop strings in text that arrives in pieces, and says how much of it can be shown meanwhile.
///
/// Text that may be the beginning of a stop string is held back until it is known. Where the text ends does not depend on
/// how it is cut into pieces: at the stop string that is complete first, and at the longest of those that end together.
public struct StopStringMatcher: Sendable {
  /// What a piece brought.
  public struct Step: Sendable, Hashable {
    /// Text that can be shown now.
    public var text: String
    /// The stop string that was found; then the text ends here, and what followed in the piece is dropped.
    public var stop: String?

    public init(text: String, stop: String? = nil) {
      self.text = text
      self.stop = stop
    }
  }

  private let stops: [(text: String, bytes: [UInt8])]
  private let includesStop: Bool
  /// Bytes that were fed but not shown: a beginning of some stop string.
  private var held: [UInt8] = []
  /// Set once a stop string was found; nothing is shown afterwards.
  public private(set) var hasStopped = false

  /// - Parameters:
  ///   - stopStrings: Empty ones never match.
  ///   - includesStop: Whether the stop string itself is shown.
  public init(stopStrings: [String], includesStop: Bool = false) {
    // The longest first, so that it wins among those that end together.
    stops = stopStrings.filter { !$0.isEmpty }.map { ($0, Array($0.utf8)) }.sorted { $0.bytes.count > $1.bytes.count }
    self.includesStop = includesStop
  }

  /// Takes the next piece of text.
  public mutating func feed(_ piece: String) -> Step {
    guard !hasStopped else { return Step(text: "") }
    guard !stops.isEmpty else { return Step(text: piece) }
    var shown: [UInt8] = []
    for byte in piece.utf8 {
      held.append(byte)
      if let stop = stops.first(where: { ends(held, with: $0.bytes) }) {
        hasStopped = true
        shown += includesStop ? held[...] : held.dropLast(stop.bytes.count)
        held = []
        return Step(text: String(decoding: shown, as: UTF8.self), stop: stop.text)
      }
      let possible = longestBeginning(atEndOf: held)
      shown += held.dropLast(possible)
      held.removeFirst(held.count - possible)
    }
    return Step(text: String(decoding: shown, as: UTF8.self))
  }

  /// Ends the text: answers what was held back.
  public mutating func finish() -> String {
    defer { held = [] }
    return String(decoding: held, as: UTF8.self)
  }

  private func ends(_ bytes: [UInt8], with suffix: [UInt8]) -> Bool {
    bytes.count >= suffix.count && bytes.suffix(suffix.count).elementsEqual(suffix)
  }
  /// Length of the longest end of `bytes` that begins a stop string.
  private func longestBeginning(atEndOf bytes: [UInt8]) -> Int {
    var length = bytes.count
    while length > 0 {
      let end = bytes.suffix(length)
      if stops.contains(where: { $0.bytes.count > length && $0.bytes.prefix(length).elementsEqual(end) }) {
        return length
      }
      length -= 1
    }
    return 0
  }
}
