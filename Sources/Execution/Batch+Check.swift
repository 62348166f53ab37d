/// A batch that does not fit an executor.
public struct BatchError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What does not fit, with the number and its limit: a clause without a full stop.
  public let description: String
}

extension Batch {
  /// The last line before memory is indexed with what stands in a batch: every executor asks this first.
  ///
  /// - Throws: What is outside the limits, or contradicts itself.
  public func check(_ limits: ExecutorLimits) throws(BatchError) {
    func require(_ condition: Bool, _ reason: @autoclosure () -> String) throws(BatchError) {
      guard condition else { throw BatchError(description: reason()) }
    }
    let vocabularySize = limits.vocabularySize
    try require(tokens.count <= limits.maximumBatchRows, "a step has \(tokens.count) rows, at most \(limits.maximumBatchRows) fit")
    try require(sequences.count <= limits.maximumSequences, "a step has \(sequences.count) sequences, at most \(limits.maximumSequences) fit")
    for token in tokens {
      try require(token >= 0 && token < vocabularySize, "token \(token) is outside the vocabulary of \(vocabularySize)")
    }
    let selected = sequences.reduce(0) { min($0 + min(max(0, $1.logitRows), 1 << 32), 1 << 32) }
    try require(selected <= limits.maximumLogitRows, "a step wants logits of \(selected) rows, at most \(limits.maximumLogitRows) fit")
    var next = 0
    for slice in sequences {
      try require(slice.rows.lowerBound == next && !slice.rows.isEmpty, "the rows of a step's sequences do not follow each other")
      next = slice.rows.upperBound
      try require(
        (0...slice.rows.count).contains(slice.logitRows), "a slice of \(slice.rows.count) rows wants logits of \(slice.logitRows)")
      if case .best(let count) = slice.wanted {
        try require((1...vocabularySize).contains(count), "a row wants the best \(count) of \(vocabularySize) tokens")
      }
      let (end, overflows) = slice.firstPosition.addingReportingOverflow(slice.rows.count)
      try require(
        slice.firstPosition >= 0 && !overflows && end <= limits.maximumSequenceLength,
        "a sequence of \(end) tokens is longer than \(limits.maximumSequenceLength)")
      try require(slice.blockTable.count * limits.cacheBlockTokens >= end, "a block table is too short for \(end) tokens")
      for block in slice.blockTable {
        try require(block >= 0 && block < limits.cacheBlockCount, "cache block \(block) is outside the cache's \(limits.cacheBlockCount)")
      }
    }
    try require(next == tokens.count, "the rows of a step's sequences do not cover it")
  }
}
