/// Many names as a few words of a message: at most ten entries, names that differ in a number joined, the rest counted.
///
/// A model has hundreds of tensors, and a fault that touches one layer touches all: `NameSummary` of 96 names says
/// `model.layers.*.mlp.gate_proj.weight (32), model.layers.*.mlp.up_proj.weight (32), … and 32 more`.
public struct NameSummary: Sendable, Equatable, CustomStringConvertible {
  /// Characters of the whole text, so that a line that holds it stays below 300.
  public static let characterLimit = 200
  /// Characters of one name; a longer one loses its middle.
  public static let nameLimit = 90

  /// Such as `model.layers.*.mlp.up_proj.weight (32), … and 32 more`; empty for no names.
  public let description: String
  /// How many names there were.
  public let count: Int

  /// - Parameters:
  ///   - names: In the order in which they are to be shown.
  ///   - limit: Most entries.
  ///   - characters: Most characters of entries after the first.
  public init(_ names: some Collection<String>, limit: Int = 10, characters: Int = characterLimit) {
    count = names.count
    var order: [String] = []
    var groups: [String: (first: String, count: Int)] = [:]
    for name in names {
      let pattern = Self.pattern(name)
      if groups[pattern] != nil {
        groups[pattern]?.count += 1
      } else {
        groups[pattern] = (name, 1)
        order.append(pattern)
      }
    }
    var entries: [String] = []
    var (length, shown) = (0, 0)
    for pattern in order.prefix(max(1, limit)) {
      guard let group = groups[pattern] else { continue }
      let entry = group.count == 1 ? Self.shortened(group.first) : "\(Self.shortened(pattern)) (\(group.count))"
      guard entries.isEmpty || length + entry.count <= characters else { break }
      entries.append(entry)
      length += entry.count + 2
      shown += group.count
    }
    description = entries.joined(separator: ", ") + (shown < count ? ", … and \(count - shown) more" : "")
  }

  /// The name with every number that is a whole component replaced by `*`: `model.layers.7.mlp` gives `model.layers.*.mlp`.
  public static func pattern(_ name: String) -> String {
    name.split(separator: ".", omittingEmptySubsequences: false)
      .map { !$0.isEmpty && $0.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? "*" : $0 }
      .joined(separator: ".")
  }

  /// The longest prefix of whole components (`base_model.model.`) that all names share, or nil for none or a single name.
  public static func commonPrefix(_ names: some Collection<String>) -> String? {
    guard names.count > 1, let first = names.first else { return nil }
    var parts = first.split(separator: ".", omittingEmptySubsequences: false).dropLast()
    for name in names.dropFirst() {
      let other = name.split(separator: ".", omittingEmptySubsequences: false).dropLast()
      parts = parts.prefix(zip(parts, other).prefix { $0 == $1 }.count)
    }
    return parts.isEmpty ? nil : parts.joined(separator: ".") + "."
  }

  /// The name on one line, without its middle where it is longer than ``nameLimit``.
  ///
  /// - Parameter limit: Characters; by default what leaves room for ten of them.
  public static func shortened(_ name: String, to limit: Int = nameLimit) -> String {
    // Names come out of files: a line break in one would look like another message.
    let line = String(name.map { $0.isNewline ? " " : $0 })
    guard line.count > limit else { return line }
    return "\(line.prefix(limit / 2 - 1))…\(line.suffix(limit / 2))"
  }
}
