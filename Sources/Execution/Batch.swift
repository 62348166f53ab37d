/// One step's work: rows of tokens from several sequences.
///
/// Every row is one token at one position of one sequence. An executor walks its operations once over all rows, so each
/// weight is read once however many sequences take part.
public struct Batch: Sendable, Hashable {
  /// Token ids, `[rows]`, all sequences' rows one after the other.
  public var tokens: [Int32]
  /// Which rows belong to which sequence. The row ranges are disjoint, ascending, and cover `tokens`.
  public var sequences: [SequenceSlice]

  /// Checks nothing: every executor asks ``check(_:)`` first.
  public init(tokens: [Int32], sequences: [SequenceSlice]) {
    self.tokens = tokens
    self.sequences = sequences
  }
}

/// The part of a ``Batch`` that belongs to one sequence. A sequence has at most one slice in a batch.
public struct SequenceSlice: Sendable, Hashable {
  /// How rows are computed. The two agree to rounding, not to the bit: a back end may round activations to bfloat16 in
  /// prefill and keep float32 in decode. Within a phase a row's result depends on its sequence's earlier tokens only,
  /// never on how many rows are computed together.
  public enum Phase: Sendable, Hashable {
    /// Tokens of a prompt, many at a time.
    case prefill
    /// Tokens that were generated: usually one row; several when a sequence's cache is computed again.
    case decode
  }

  /// Rows of this step, as indices into ``Batch/tokens``.
  public var rows: Range<Int>
  /// Position of the first of those rows: how many tokens of the sequence are in the cache already.
  public var firstPosition: Int
  /// Cache blocks of the sequence in order of position; covers every position up to the last row's. Block ids index
  /// every layer's pool.
  public var blockTable: [Int32]
  /// A prompt's tokens are always prefill and generated ones decode, also when they are computed again: see ``Phase``.
  public var phase: Phase
  /// How many of the slice's last rows want an answer: none, the last where a token is to be chosen, more where tokens that
  /// are known are to be scored.
  public var logitRows: Int
  /// The least that each of those rows is to be answered.
  public var wanted: LogitsWanted
  /// Whether any row wants an answer, of whatever kind.
  public var wantsLogits: Bool { logitRows > 0 }

  /// A slice whose last row wants all logits, or that wants no answer.
  public init(rows: Range<Int>, firstPosition: Int, blockTable: [Int32], phase: Phase, wantsLogits: Bool) {
    self.init(
      rows: rows, firstPosition: firstPosition, blockTable: blockTable, phase: phase, logitRows: wantsLogits ? 1 : 0)
  }

  /// A slice whose last `logitRows` rows want an answer each, of at least the kind `wanted`.
  public init(rows: Range<Int>, firstPosition: Int, blockTable: [Int32], phase: Phase, logitRows: Int, wanted: LogitsWanted = .all) {
    self.rows = rows
    self.firstPosition = firstPosition
    self.blockTable = blockTable
    self.phase = phase
    self.logitRows = logitRows
    self.wanted = wanted
  }
}
