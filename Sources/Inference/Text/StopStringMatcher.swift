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

    /// - Parameter stop: nil while none was found.
    public init(text: String, stop: String? = nil) {
      self.text = text
      self.stop = stop
    }
  }

  private let stops: [StopString]
  private let includesStop: Bool
  /// For each stop string, how many of its bytes the text ends with.
  private var matched: [Int]
  /// Bytes that were fed but not shown: a beginning of some stop string.
  private var held: [UInt8] = []
  /// Set once a stop string was found; nothing is shown afterwards.
  public private(set) var hasStopped = false

  /// - Parameters:
  ///   - stopStrings: Empty ones never match.
  ///   - includesStop: Whether the stop string itself is shown.
  public init(stopStrings: [String], includesStop: Bool = false) {
    // The longest first, so that it wins among those that end together.
    stops = stopStrings.filter { !$0.isEmpty }.map(StopString.init).sorted { $0.bytes.count > $1.bytes.count }
    matched = Array(repeating: 0, count: stops.count)
    self.includesStop = includesStop
  }

  /// Takes the next piece of text.
  ///
  /// - Complexity: Linear in the piece for each stop string, whatever they hold.
  public mutating func feed(_ piece: String) -> Step {
    guard !hasStopped else { return Step(text: "") }
    guard !stops.isEmpty else { return Step(text: piece) }
    held += piece.utf8
    for index in held.count - piece.utf8.count..<held.count {
      for (place, stop) in stops.enumerated() {
        matched[place] = stop.advance(matched[place], held[index])
        guard matched[place] < stop.bytes.count else {
          hasStopped = true
          let shown = held[..<(includesStop ? index + 1 : index + 1 - stop.bytes.count)]
          defer { held = [] }
          return Step(text: String(decoding: shown, as: UTF8.self), stop: stop.text)
        }
      }
    }
    let shown = held.count - (matched.max() ?? 0)
    defer { held.removeFirst(shown) }
    return Step(text: String(decoding: held[..<shown], as: UTF8.self))
  }

  /// Ends the text: answers what was held back.
  public mutating func finish() -> String {
    defer { held = [] }
    return String(decoding: held, as: UTF8.self)
  }
}

/// A text that is looked for byte by byte, by Knuth, Morris and Pratt (SIAM J. Comput. 6, 1977): no byte is looked at
/// twice, and a beginning that fails leads to the next shorter one.
private struct StopString: Sendable {
  let text: String
  let bytes: [UInt8]
  /// For each count of bytes, the longest shorter beginning that those bytes end with.
  private let fallback: [Int]

  init(_ text: String) {
    self.text = text
    bytes = Array(text.utf8)
    var fallback = [0, 0]
    fallback.reserveCapacity(bytes.count + 1)
    for index in bytes.indices.dropFirst() {
      var length = fallback[index]
      while length > 0, bytes[length] != bytes[index] { length = fallback[length] }
      fallback.append(bytes[length] == bytes[index] ? length + 1 : 0)
    }
    self.fallback = fallback
  }

  /// How many bytes match after `byte`, where `matched` did before it, fewer than all.
  func advance(_ matched: Int, _ byte: UInt8) -> Int {
    var length = matched
    while length > 0, bytes[length] != byte { length = fallback[length] }
    return bytes[length] == byte ? length + 1 : 0
  }
}
