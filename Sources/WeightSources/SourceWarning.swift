/// Something in a model's files that its reader has to say: places that disagree, or a setting that nothing used.
///
/// A warning changes nothing by itself; `--strict` makes each an error before anything is written.
public struct SourceWarning: Sendable, Hashable, CustomStringConvertible {
  /// A key or a tensor's name.
  public let subject: String
  /// Where it stands: a file of the directory, or `metadata` in a GGUF file.
  public let place: String
  /// What is so and what was done about it, without a full stop.
  public let text: String

  public init(_ subject: String, in place: String, _ text: String) {
    self.subject = subject
    self.place = place
    self.text = text
  }

  /// The same, said of a directory or file among several.
  public func placed(in path: String) -> SourceWarning {
    guard !place.hasPrefix("/"), !place.hasPrefix(path) else { return self }
    return SourceWarning(subject, in: path.hasSuffix(".gguf") ? "\(path): \(place)" : "\(path)/\(place)", text)
  }

  /// One line of at most 300 characters.
  public var description: String {
    let rest = ": '\(Self.shortened(subject, to: 80))' \(Self.shortened(text, to: 180))"
    return Self.shortened(place, to: max(30, 298 - rest.count)) + rest
  }

  /// Text out of a file on one line, without its middle where it is too long.
  static func shortened(_ text: String, to limit: Int) -> String {
    let line = String(text.map { $0.isNewline ? " " : $0 })
    return line.count <= limit ? line : "\(line.prefix(limit / 2))…\(line.suffix(limit / 2 - 1))"
  }
}
