/// What an executor can take in one step, and how large its cache is.
public struct ExecutorLimits: Sendable, Hashable {
  /// Logits of a row, and the exclusive upper bound of a token id.
  public var vocabularySize: Int
  /// Most tokens of one sequence, prompt and generated together.
  public var maximumSequenceLength: Int
  /// Most rows in one step (`max_num_tokens`).
  public var maximumBatchRows: Int
  /// Most sequences in one step (`max_batch_size`).
  public var maximumSequences: Int
  /// Most rows in one step that want an answer; at least `maximumSequences`.
  public var maximumLogitRows: Int
  /// Most steps that are begun and not finished; at least 1.
  public var stepsInFlight: Int
  /// Tokens in one block of the key/value cache.
  public var cacheBlockTokens: Int
  /// Blocks in the cache; block ids are `0..<cacheBlockCount`.
  public var cacheBlockCount: Int

  /// - Parameter maximumLogitRows: nil: as many as sequences.
  public init(
    vocabularySize: Int, maximumSequenceLength: Int, maximumBatchRows: Int, maximumSequences: Int,
    maximumLogitRows: Int? = nil, stepsInFlight: Int = 1, cacheBlockTokens: Int = 16, cacheBlockCount: Int
  ) {
    self.vocabularySize = vocabularySize
    self.maximumSequenceLength = maximumSequenceLength
    self.maximumBatchRows = maximumBatchRows
    self.maximumSequences = maximumSequences
    self.maximumLogitRows = maximumLogitRows ?? maximumSequences
    self.stepsInFlight = stepsInFlight
    self.cacheBlockTokens = cacheBlockTokens
    self.cacheBlockCount = cacheBlockCount
  }

  /// Tokens of all sequences together that the cache holds.
  public var cacheTokenCount: Int { cacheBlockCount * cacheBlockTokens }
  /// Longest sequence that can be run to its end: what positions allow and what the whole cache holds.
  public var longestSequence: Int { min(maximumSequenceLength, cacheTokenCount) }
}
