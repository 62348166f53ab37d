public import Engines

/// How large a back end's steps become: what was asked for, within what the engine was built for.
public struct StepSizes: Sendable {
  /// Tokens of a sequence.
  public let sequenceLength: Int
  /// Most token rows of a step, sequences, and rows that want an answer.
  public let rows: Int
  public let sequences: Int
  public let logitRows: Int

  /// Rows of prompts that can be scored in one step. Each costs memory for the logits of a whole vocabulary.
  private static let scoredRows = 48

  public init(_ limits: PlanLimits, options: ExecutorOptions) {
    sequenceLength = min(options.maximumSequenceLength ?? limits.sequenceLength, limits.sequenceLength)
    rows = max(1, min(options.maximumBatchRows, limits.tokens))
    sequences = max(1, min(options.maximumSequences, limits.batchSize, rows))
    logitRows = min(rows, sequences + Self.scoredRows)
  }
}
