/// A prompt and what to do with it.
public struct GenerationRequest: Sendable {
  /// For messages only; need not be unique.
  public var id: String
  /// At least one; each at least 0 and below the vocabulary size.
  public var promptIDs: [Int32]
  /// Checked when the request is submitted.
  public var sampling: SamplingParameters
  /// Token ids that end a sequence unless `sampling.ignoreEndOfSequence`.
  public var endOfSequenceIDs: Set<Int32>

  /// A prompt that is scored is computed from its first token on, with the logits of every row.
  public var promptScores: PromptScores

  /// No token ends the sequence, and no prompt token is scored, unless given. Ranges are checked when it is submitted.
  public init(
    id: String = "", promptIDs: [Int32], sampling: SamplingParameters = .init(), endOfSequenceIDs: Set<Int32> = [],
    promptScores: PromptScores = .none
  ) {
    self.promptScores = promptScores
    self.id = id
    self.promptIDs = promptIDs
    self.sampling = sampling
    self.endOfSequenceIDs = endOfSequenceIDs
  }
}

/// Whether a request gets the log-probabilities of its prompt's own tokens.
public enum PromptScores: Sendable, Hashable {
  /// Prompt tokens are not scored, and those in the cache are not computed again.
  case none
  /// They come first, then the answer.
  case beforeAnswer
  /// They are all that is wanted: nothing is generated, whatever the sampling parameters say.
  case withoutAnswer
}
