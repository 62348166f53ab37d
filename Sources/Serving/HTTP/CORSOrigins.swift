/// Origins of web pages that may use the server, such as `https://app.example`.
public struct CORSOrigins: Sendable, Hashable {
  private let named: Set<String>
  /// Whether every page may.
  public let isAny: Bool

  /// - Parameter origins: Scheme, host and, where it is not the scheme's own, port; or `*`.
  /// - Throws: ``InvalidOrigin`` for one that no browser sends, such as one with a path.
  public init(_ origins: [String]) throws(InvalidOrigin) {
    isAny = origins.contains("*")
    for origin in origins where origin != "*" {
      guard Self.isOrigin(origin) else { throw InvalidOrigin(text: origin) }
    }
    named = Set(origins)
  }

  /// Whether pages of an origin may use the server; compared to the letter, as browsers send it.
  func allow(_ origin: String) -> Bool { isAny || named.contains(origin) }

  private static func isOrigin(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    guard let end = text.firstRange(of: "://")?.upperBound, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), text == text.lowercased() else { return false }
    let host = text[end...]
    return !host.isEmpty && !host.contains { "/?#@, *".contains($0) } && text[..<end].first?.isLetter == true
  }

  /// A text that is no origin.
  public struct InvalidOrigin: Error, Sendable, CustomStringConvertible {
    /// What was given.
    public let text: String
    public var description: String { "'\(text)' is no origin; give scheme, host and port in lower case, such as https://app.example or http://localhost:3000, or *" }
  }
}
