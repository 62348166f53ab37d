import Inference
import JSON

/// Gathers the pieces of a reply that is sent whole.
struct AnswerSheet {
  struct Entry {
    var text = ""
    var tokens: [GeneratedToken] = []
    var promptScores: [GeneratedToken]?
    var end: AnswerEnd?
    var versions = WeightVersions()
    /// Mean log-probability of a token; what `best_of` compares.
    var quality: Double {
      guard !tokens.isEmpty else { return -.infinity }
      return tokens.reduce(0) { $0 + Double($1.logProbability ?? 0) } / Double(tokens.count)
    }
  }
  private(set) var entries: [Entry]
  private(set) var versions = WeightVersions()
  /// All weights that chose something; nil where nothing was chosen.
  var weightVersion: String? { versions.description }

  /// Roughly, tokens and alternatives that a reply shows.
  var entryCount: Int {
    entries.reduce(0) { sum, entry in
      let scored = entry.promptScores ?? []
      return sum + entry.text.utf8.count / 256 + entry.tokens.reduce(0) { $0 + 1 + ($1.top?.count ?? 0) }
        + scored.reduce(0) { $0 + 1 + ($1.top?.count ?? 0) }
    }
  }

  init(count: Int) { entries = Array(repeating: Entry(), count: count) }

  mutating func add(_ piece: AnswerPiece) {
    entries[piece.index].text += piece.text
    entries[piece.index].tokens += piece.tokens
    if let scores = piece.promptScores { entries[piece.index].promptScores = scores }
    if let end = piece.end { entries[piece.index].end = end }
    versions.add(piece)
    entries[piece.index].versions.add(piece)
  }

  /// The `kept` best of each prompt's `candidates`, best first; all, in order, where none is dropped.
  func best(_ kept: Int, of candidates: Int) -> [Entry] {
    guard kept < candidates else { return entries }
    return stride(from: 0, to: entries.count, by: candidates).flatMap { start in
      let group = entries[start..<start + candidates].enumerated()
      // Equal ones keep their order.
      let order = group.sorted { ($0.element.quality, -$0.offset) > ($1.element.quality, -$1.offset) }
      return order.prefix(kept).map(\.element)
    }
  }
}
