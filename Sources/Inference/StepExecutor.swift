public import Engines

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
  /// Most rows in one step that want logits; at least `maximumSequences`.
  public var maximumLogitRows: Int
  /// Tokens in one block of the key/value cache.
  public var cacheBlockTokens: Int
  /// Blocks in the cache; block ids are `0..<cacheBlockCount`.
  public var cacheBlockCount: Int

  public init(
    vocabularySize: Int, maximumSequenceLength: Int, maximumBatchRows: Int, maximumSequences: Int,
    maximumLogitRows: Int? = nil, cacheBlockTokens: Int = 16, cacheBlockCount: Int
  ) {
    self.vocabularySize = vocabularySize
    self.maximumSequenceLength = maximumSequenceLength
    self.maximumBatchRows = maximumBatchRows
    self.maximumSequences = maximumSequences
    self.maximumLogitRows = maximumLogitRows ?? maximumSequences
    self.cacheBlockTokens = cacheBlockTokens
    self.cacheBlockCount = cacheBlockCount
  }

  /// Longest sequence that can be run to its end: what positions allow and what the whole cache holds.
  public var longestSequence: Int { min(maximumSequenceLength, cacheBlockTokens * cacheBlockCount) }
}

/// Computes one step of a model: a batch in, logits out, keys and values kept in a paged cache.
///
/// ``EngineLoop`` calls it from one thread, one step at a time, and never while an action given to
/// ``EngineLoop/perform(running:forgettingPrefixes:_:)`` runs.
public protocol StepExecutor: AnyObject, Sendable {
  /// Does not change while the executor is used.
  var limits: ExecutorLimits { get }

  /// Bytes of memory that a step reads at least; nil where the executor cannot tell.
  func bytesRead(_ batch: Batch) -> Int?

  /// Writes the rows' keys and values to the cache and hands out logits.
  ///
  /// - Parameters:
  ///   - batch: Within ``limits``; token ids below the vocabulary size.
  ///   - logits: Called on the calling thread, once for every row that wants logits, a slice's rows in order, slices in
  ///     any order, with the slice's index in `batch.sequences` and the row's logits `[vocabularySize]`, which are valid
  ///     during the call and may be changed in place.
  /// - Throws: Anything. The sequences of the batch are then ended with that error and their blocks freed; blocks of
  ///   other sequences must be unharmed.
  func step(
    _ batch: Batch, logits: (_ sequence: Int, _ logits: UnsafeMutableBufferPointer<Float>) -> Void
  ) throws
}

extension StepExecutor {
  public func bytesRead(_ batch: Batch) -> Int? { nil }
}
