import Tensors

extension RefitProblem {
  /// All problems as text under their headings: first what to do, then at most ten lines, those of all layers and ranks in
  /// one, with their count. What follows from another structure is counted, and not shown beside that.
  public static func report(_ problems: [RefitProblem], linesPerHeading: Int = 10) -> String {
    var order: [String] = []
    var groups: [String: [RefitProblem]] = [:]
    for problem in problems {
      if groups[problem.heading] == nil { order.append(problem.heading) }
      groups[problem.heading, default: []].append(problem)
    }
    let hasOtherStructure = problems.contains { if case .configuration = $0 { true } else { false } }
    return order.map { heading in
      let group = groups[heading] ?? []
      let count = group.reduce(0) { $0 + $1.count }
      if hasOtherStructure, group.allSatisfy(\.followsFromStructure) { return "\(heading) (\(count)): as the configurations differ" }
      var lines = ["\(heading) (\(count)):"]
      if let remedy = group.first?.remedy { lines.append("  → \(remedy)") }
      lines += LineSummary.lines(group.map(\.detail), limit: linesPerHeading).map { "  " + $0 }
      return lines.joined(separator: "\n")
    }.joined(separator: "\n")
  }

  /// Where only the tables have another shape, and only by the number of tokens, that is what is wrong.
  static func namingVocabulary(_ problems: [RefitProblem]) -> [RefitProblem] {
    var sizes: (engine: String, checkpoint: String)?
    var tables: [String] = []
    for problem in problems {
      switch problem {
      case .configuration("vocab_size", let engine, let checkpoint): sizes = (engine, checkpoint)
      case .shapeMismatch(let tensor, _, _, _):
        guard isTable(tensor) else { return problems }
        if !tables.contains(tensor) { tables.append(tensor) }
      default: break
      }
    }
    guard let sizes else { return problems }
    var result: [RefitProblem] = []
    for problem in problems {
      switch problem {
      case .configuration("vocab_size", _, _): result.append(.vocabulary(engine: sizes.engine, checkpoint: sizes.checkpoint, tensors: tables))
      case .shapeMismatch: break
      default: result.append(problem)
      }
    }
    return result
  }
  private static func isTable(_ tensor: String) -> Bool { tensor == EmbeddingSharing.embedding || tensor == EmbeddingSharing.logits }
}
