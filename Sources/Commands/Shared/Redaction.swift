import JSON

/// Takes the values of keys out of messages, however the flag in front of them was spelt.
///
/// A key that is read is a `Secret` and prints nothing. But a message about arguments that cannot be read repeats them, and
/// then nobody knows yet which is a key.
struct Redaction: Sendable {
  private let words: [String]
  private static let flags = ["apikey", "adminkey"]

  /// - Parameter known: The command's flags, with dashes.
  init(_ arguments: [String], known: Set<String>) {
    var words: Set<String> = []
    for (index, argument) in arguments.enumerated() where argument.hasPrefix("-") {
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let letters = parts[0].lowercased().filter { $0.isASCII && $0.isLetter }
      let isKey = Self.flags.contains(letters)
      guard isKey || (!known.contains(parts[0]) && Self.resemblesKey(letters)) else { continue }
      if parts.count > 1 { words.insert(parts[1]) } else if index + 1 < arguments.count { words.insert(arguments[index + 1]) }
      // The value may follow without a space.
      if !isKey { words.insert(Self.rest(of: parts[0])) }
    }
    // The longest first: one may be a part of another.
    self.words = words.filter { $0.count > 1 && !known.contains($0) }.sorted { ($0.utf8.count, $0) > ($1.utf8.count, $1) }
  }

  private static func resemblesKey(_ letters: String) -> Bool {
    ["key", "secret", "passw"].contains { letters.contains($0) } || nearestName(to: letters, among: flags) != nil
  }

  /// What follows the letters `key` in an argument that is no flag.
  private static func rest(of argument: String) -> String {
    guard let range = argument.lowercased().firstRange(of: "key") else { return "" }
    let count = argument.lowercased()[..<range.upperBound].utf8.count
    return String(decoding: argument.utf8.dropFirst(count), as: UTF8.self)
  }

  func callAsFunction(_ text: String) -> String { words.reduce(text) { $0.replacing($1, with: "(secret)") } }
}
