import Engines
import Execution

/// Where a batch's rows are, in the terms that operations need.
struct StepLayout {
  /// Contiguous rows of one phase, as large as can be.
  struct Run: Equatable {
    var rows: Range<Int>
    var phase: SequenceSlice.Phase
  }
  /// Part of a slice's attention: rows relative to the slice, and query heads of one KV head.
  struct AttentionItem {
    var slice: Int
    var rows: Range<Int>
    var group: Int
  }
  let rowCount: Int
  let runs: [Run]
  /// All rows of each phase.
  let decodeRows: [Int32]
  let prefillRows: [Int32]
  /// For each row of selected values, the token row it comes from.
  let selectedRows: [Int]
  /// By the number of key-value heads of the attention.
  let attention: [Int: [AttentionItem]]

  /// Rows of a prefill that are attended to together: enough to reuse each key block, few enough to share out.
  private static let attentionRows = 64

  init(_ batch: Batch, keyValueHeads: Set<Int>) {
    rowCount = batch.tokens.count
    var runs: [Run] = []
    var selectedRows: [Int] = []
    var attention: [(slice: Int, rows: Range<Int>)] = []
    for (index, slice) in batch.sequences.enumerated() {
      if let last = runs.last, last.phase == slice.phase, last.rows.upperBound == slice.rows.lowerBound {
        runs[runs.count - 1].rows = last.rows.lowerBound..<slice.rows.upperBound
      } else {
        runs.append(Run(rows: slice.rows, phase: slice.phase))
      }
      selectedRows += slice.rows.suffix(slice.logitRows)
      for first in stride(from: 0, to: slice.rows.count, by: Self.attentionRows) {
        let rows = first..<min(first + Self.attentionRows, slice.rows.count)
        attention.append((index, rows))
      }
    }
    // Late rows see more positions: start with them, so that threads end together.
    attention.sort {
      (batch.sequences[$0.slice].firstPosition + $0.rows.upperBound) > (batch.sequences[$1.slice].firstPosition + $1.rows.upperBound)
    }
    self.runs = runs
    func rows(_ phase: SequenceSlice.Phase) -> [Int32] {
      runs.lazy.filter { $0.phase == phase }.flatMap { $0.rows.map { Int32(truncatingIfNeeded: $0) } }
    }
    (decodeRows, prefillRows) = (rows(.decode), rows(.prefill))
    self.selectedRows = selectedRows
    self.attention = Dictionary(
      uniqueKeysWithValues: keyValueHeads.map { heads in
        (heads, attention.flatMap { part in (0..<heads).map { AttentionItem(slice: part.slice, rows: part.rows, group: $0) } })
      })
  }
}
