/// A prompt and what to do with it.
public struct GenerationRequest: Sendable {
  /// For messages only; need not be unique.
  public var id: String
  public var promptIDs: [Int32]
  public var sampling: SamplingParameters
  /// Token ids that end a sequence unless `sampling.ignoreEndOfSequence`.
  public var endOfSequenceIDs: Set<Int32>

  public var promptScores: PromptScores

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

/// Whether a request is told how likely its prompt's own tokens are.
public enum PromptScores: Sendable, Hashable {
  case none
  /// They come first, then the answer.
  case beforeAnswer
  /// They are all that is wanted: nothing is generated, whatever the sampling parameters say.
  case withoutAnswer
}
