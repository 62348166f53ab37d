import Tensors

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

  /// - Parameter text: A clause without a full stop, which follows the subject.
  public init(_ subject: String, in place: String, _ text: String) {
    self.subject = subject
    self.place = place
    self.text = text
  }

  /// At most ten of many that say the same of different keys of one place: the names of the rest are one line.
  public static func few(_ all: [SourceWarning]) -> [SourceWarning] {
    guard all.count > 10 else { return all }
    let rest = all.dropFirst(9)
    return all.prefix(9) + [SourceWarning(all[9].subject, in: all[9].place, "and \(rest.count - 1) more keys are set, and nothing uses them: \(NameSummary(rest.dropFirst().map(\.subject), limit: 5))")]
  }

  /// The same, said of a directory or file among several.
  public func placed(in path: String) -> SourceWarning {
    guard !place.hasPrefix("/"), !place.hasPrefix(path) else { return self }
    return SourceWarning(subject, in: path.isGGUFName ? "\(path): \(place)" : "\(path)/\(place)", text)
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
