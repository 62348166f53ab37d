public import Execution

/// A paged cache that keeps for every position what was written there.
///
/// Every row checks that the blocks it was shown hold its own history, position by position, of the same weights as they said when
/// they were written: a wrong block table cannot go unseen.
public struct RecordedCache: Sendable {
  private struct Cell {
    var position = -1
    var token: Int32 = -1
    var phase = SequenceSlice.Phase.prefill
    var history: UInt64 = 0
    var weights: UInt64 = 0
  }
  /// A row that wants an answer, and a number that depends on all of its sequence up to it.
  public struct Row: Sendable {
    public var sequence: Int
    public var wanted: LogitsWanted
    public var position: Int
    public var history: UInt64
  }
  private let limits: ExecutorLimits
  private var cells: [Cell]

  public init(_ limits: ExecutorLimits) {
    self.limits = limits
    cells = Array(repeating: Cell(), count: limits.cacheTokenCount)
  }

  /// Writes a batch, which must fit the limits.
  ///
  /// - Parameters:
  ///   - weights: Of the weights that compute it.
  ///   - extend: The history that ends with a token, of the one before it, the token, its position and phase, and the weights.
  public mutating func write(
    _ batch: Batch, weights: UInt64, extend: (UInt64, Int32, Int, SequenceSlice.Phase, UInt64) -> UInt64
  ) throws -> [Row] {
    try batch.check(limits)
    var written: Set<Int32> = []
    var rows: [Row] = []
    for (index, slice) in batch.sequences.enumerated() {
      try require(Set(slice.blockTable).count == slice.blockTable.count, "a block twice in \(slice.blockTable)")
      func cell(_ position: Int) -> Int {
        Int(slice.blockTable[position / limits.cacheBlockTokens]) * limits.cacheBlockTokens + position % limits.cacheBlockTokens
      }
      var history: UInt64 = 0
      for position in 0..<slice.firstPosition {
        let found = cells[cell(position)]
        try require(found.position == position, "position \(found.position) where \(position) should be")
        history = extend(history, found.token, position, found.phase, found.weights)
        try require(found.history == history, "another sequence's token at position \(position)")
      }
      for (offset, token) in batch.tokens[slice.rows].enumerated() {
        let position = slice.firstPosition + offset
        let block = slice.blockTable[position / limits.cacheBlockTokens]
        if offset == 0 || position % limits.cacheBlockTokens == 0 {
          try require(written.insert(block).inserted, "block \(block) written by two sequences")
        }
        history = extend(history, token, position, slice.phase, weights)
        cells[cell(position)] = Cell(position: position, token: token, phase: slice.phase, history: history, weights: weights)
        guard offset >= slice.rows.count - slice.logitRows else { continue }
        rows.append(Row(sequence: index, wanted: slice.wanted, position: position, history: history))
      }
    }
    return rows
  }
}
