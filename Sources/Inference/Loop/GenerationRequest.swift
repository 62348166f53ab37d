/// A prompt and what to do with it.
public struct GenerationRequest: Sendable {
  /// For messages only; need not be unique.
  public var id: String
  public var promptIDs: [Int32]
  public var sampling: SamplingParameters
  /// Token ids that end a sequence unless `sampling.ignoreEndOfSequence`.
  public var endOfSequenceIDs: Set<Int32>

  public init(
    id: String = "", promptIDs: [Int32], sampling: SamplingParameters = .init(), endOfSequenceIDs: Set<Int32> = []
  ) {
    self.id = id
    self.promptIDs = promptIDs
    self.sampling = sampling
    self.endOfSequenceIDs = endOfSequenceIDs
  }
}
