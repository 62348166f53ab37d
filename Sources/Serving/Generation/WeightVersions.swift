import JSON

/// Which weights chose how many tokens, in order.
struct WeightVersions: Sendable {
  private(set) var parts: [(version: String, tokens: Int)] = []

  /// Pieces of one answer in order, or of several.
  mutating func add(_ piece: AnswerPiece) {
    guard let version = piece.weightVersion else { return }
    if parts.last?.version == version {
      parts[parts.count - 1].tokens += piece.tokens.count
    } else {
      parts.append((version, piece.tokens.count))
    }
  }

  /// One name, or several joined with `+`, each once; nil where nothing was chosen.
  var description: String? {
    var names: [String] = []
    for part in parts where !names.contains(part.version) { names.append(part.version) }
    return names.isEmpty ? nil : names.joined(separator: "+")
  }

  /// For an answer that weights changed under: each stretch with its version. The token that ended it is not counted.
  var json: JSONValue? {
    guard parts.count > 1 else { return nil }
    return .array(parts.map { ["version": .string($0.version), "tokens": .int($0.tokens)] })
  }
}
