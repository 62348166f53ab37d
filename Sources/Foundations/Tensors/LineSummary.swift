/// Many lines of a message as a few: lines that differ only in ranks and in numbers within names are one, with their count, and at
/// most ten are shown.
public enum LineSummary {
  /// Characters of one line.
  public static let lineLimit = 280

  /// - Parameter lines: In the order in which they are to be shown.
  public static func lines(_ lines: some Collection<String>, limit: Int = 10) -> [String] {
    var order: [String] = []
    var groups: [String: (first: String, count: Int)] = [:]
    for line in lines {
      let pattern = pattern(line)
      if groups[pattern] != nil {
        groups[pattern]?.count += 1
      } else {
        groups[pattern] = (line, 1)
        order.append(pattern)
      }
    }
    var shown = 0
    var result: [String] = []
    for pattern in order.prefix(limit) {
      guard let group = groups[pattern] else { continue }
      shown += group.count
      result.append(group.count == 1 ? shortened(group.first) : "\(shortened(pattern)) (\(group.count))")
    }
    if shown < lines.count { result.append("… and \(lines.count - shown) more") }
    return result
  }

  /// The line with its names as ``NameSummary/pattern(_:)``.
  private static func pattern(_ line: String) -> String {
    var follows = ""
    return line.split(separator: " ", omittingEmptySubsequences: false).map { word in
      defer { follows = String(word) }
      if word.contains(".") { return NameSummary.pattern(String(word)) }
      let isRank = follows == "rank" && word.first?.isNumber == true
      return isRank ? (word.hasSuffix(":") ? "*:" : "*") : String(word)
    }.joined(separator: " ")
  }

  /// Without line breaks, and without its middle where it is longer than ``lineLimit``.
  public static func shortened(_ line: String) -> String {
    let text = String(line.map { $0.isNewline ? " " : $0 })
    return text.count <= lineLimit ? text : "\(text.prefix(lineLimit / 2))…\(text.suffix(lineLimit / 2 - 1))"
  }
}
