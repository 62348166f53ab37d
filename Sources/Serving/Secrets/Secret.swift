import Digests

/// A key that callers must know.
///
/// Its text is not kept, only a digest of it under a key that this process draws at its start: enough to compare with, and
/// nothing that a description, a log, a dump, an error or a crash report could show. It is not encodable.
public struct Secret: Sendable {
  private let digest: SHA256Digest
  /// How long the text is, and 16 bits of a sum over it whose factor this process draws: to find places that are worth a digest.
  private let byteCount: Int
  private let mark: UInt16
  /// Whether there is no text at all: such a key would let every caller in.
  public let isEmpty: Bool
  /// Whether a header can carry it: 1 to 4096 printable ASCII characters without spaces.
  public let isUsable: Bool
  private static let processKey = (0..<32).map { _ in UInt8.random(in: .min ... .max) }
  private static let factor = UInt64.random(in: .min ... .max) | 1

  /// - Parameter text: Not kept; its UTF-8 counts.
  public init(_ text: String) { self.init(utf8: Array(text.utf8)) }

  /// - Parameter bytes: Not kept, and of any value: ``isUsable`` says whether a header can carry them.
  public init(utf8 bytes: [UInt8]) {
    digest = Self.digest(bytes)
    byteCount = bytes.count
    mark = Self.mark(bytes.reduce(0) { $0 &* Self.factor &+ UInt64($1) })
    isEmpty = bytes.isEmpty
    isUsable = (1...4096).contains(bytes.count) && bytes.allSatisfy { $0 > 0x20 && $0 < 0x7F }
  }

  private static func mark(_ sum: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: sum >> 48) }
  private static func digest(_ text: [UInt8]) -> SHA256Digest { SHA256.hash(processKey + text) }

  /// Compares in a time that depends on the length of what was sent, not on how much of it is right. Nothing matches an
  /// empty secret.
  public func matches(_ given: Substring) -> Bool {
    Self.digest(Array(given.utf8)).isSame(as: digest) && !isEmpty
  }
}

extension Secret: Equatable {
  public static func == (one: Secret, other: Secret) -> Bool { one.digest.isSame(as: other.digest) }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "(secret)" }
  public var debugDescription: String { description }
  /// No children: what prints by reflection, as `dump` does, finds nothing.
  public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}

extension Secret {
  /// The text with `(secret)` wherever this stands in it; nil where it does not.
  public func masking(_ text: String) -> String? {
    let bytes = Array(text.utf8)
    guard !isEmpty, bytes.count >= byteCount else { return nil }
    let highest = (1..<byteCount).reduce(UInt64(1)) { product, _ in product &* Self.factor }
    var result: [UInt8] = []
    var (start, copied) = (0, 0)
    var sum = bytes[..<byteCount].reduce(0) { $0 &* Self.factor &+ UInt64($1) }
    while true {
      let isThere = Self.mark(sum) == mark && Self.digest(Array(bytes[start..<start + byteCount])).isSame(as: digest)
      // Of two that overlap the whole of both goes.
      if isThere {
        if start >= copied { result += bytes[copied..<start] + Array("(secret)".utf8) }
        copied = start + byteCount
      }
      guard start + byteCount < bytes.count else { break }
      sum = (sum &- UInt64(bytes[start]) &* highest) &* Self.factor &+ UInt64(bytes[start + byteCount])
      start += 1
    }
    guard copied > 0 else { return nil }
    return String(decoding: result + bytes[copied...], as: UTF8.self)
  }
}
