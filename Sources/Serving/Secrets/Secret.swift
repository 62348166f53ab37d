import Digests

/// A key that callers must know.
///
/// Its text is not kept, only a digest of it under a key that this process draws at its start: enough to compare with, and
/// nothing that a description, a log, a dump, an error or a crash report could show. It is not encodable.
public struct Secret: Sendable {
  private let digest: SHA256Digest
  /// Whether there is no text at all, which nobody should have to know.
  public let isEmpty: Bool
  /// Whether a header can carry it: 1 to 4096 printable ASCII characters without spaces.
  public let isUsable: Bool
  private static let processKey = (0..<32).map { _ in UInt8.random(in: .min ... .max) }

  public init(_ text: String) { self.init(utf8: Array(text.utf8)) }

  public init(utf8 bytes: [UInt8]) {
    digest = Self.digest(bytes)
    isEmpty = bytes.isEmpty
    isUsable = (1...4096).contains(bytes.count) && bytes.allSatisfy { $0 > 0x20 && $0 < 0x7F }
  }

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
