/// Positions that sequences have reached, in blocks: few have as many tokens as a model has positions, so what depends on a position,
/// such as its cosines and sines, is made when it is first reached.
package struct ReachedPositions: Sendable {
  /// Positions that are made together: some tens of microseconds, which a decode step does not notice.
  package static let blockPositions = 64
  private var isReached: [Bool]

  package init(positions: Int) {
    isReached = Array(repeating: false, count: (positions + Self.blockPositions - 1) / Self.blockPositions)
  }

  /// Positions of all blocks.
  package var count: Int { isReached.count * Self.blockPositions }

  /// Calls `make` with the positions of each block that the batch reaches and none before it did.
  package mutating func reach(_ batch: Batch, _ make: (Range<Int>) throws -> Void) rethrows {
    for slice in batch.sequences where !slice.rows.isEmpty {
      let last = slice.firstPosition + slice.rows.count - 1
      for block in slice.firstPosition / Self.blockPositions...last / Self.blockPositions where !isReached[block] {
        try make(block * Self.blockPositions..<(block + 1) * Self.blockPositions)
        isReached[block] = true
      }
    }
  }
}
