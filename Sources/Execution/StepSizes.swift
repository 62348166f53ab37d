public import Engines

/// How large a back end's steps become: what was asked for, within what the engine was built for.
public struct StepSizes: Sendable {
  /// Longest sequence, in tokens.
  public let sequenceLength: Int
  /// Most token rows of a step; at least 1.
  public let rows: Int
  /// Most sequences of a step; from 1 to `rows`.
  public let sequences: Int
  /// Most rows of a step that want an answer: one for each sequence and some to score prompts, but no more than `rows`.
  public let logitRows: Int

  /// Rows of prompts that can be scored in one step. Each costs memory for the logits of a whole vocabulary.
  private static let scoredRows = 48

  /// Of each the smaller of what is asked for and what the engine was built for; no length asked for is the engine's.
  public init(_ limits: PlanLimits, options: ExecutorOptions) {
    sequenceLength = min(options.maximumSequenceLength ?? limits.sequenceLength, limits.sequenceLength)
    rows = max(1, min(options.maximumBatchRows, limits.tokens))
    sequences = max(1, min(options.maximumSequences, limits.batchSize, rows))
    logitRows = min(rows, sequences + Self.scoredRows)
  }
}
