package import Execution

/// What the next step computes.
package struct StepPlan: Sendable {
  /// Consecutive known tokens of one sequence.
  package struct Slice: Sendable, Hashable {
    package var id: SequenceID
    /// Positions to compute.
    package var positions: Range<Int>
    package var phase: SequenceSlice.Phase
    /// Whether they end with the last known token, so that the next can be chosen.
    package var wantsLogits: Bool
    /// Whether every row wants logits, to score the token that is known to follow it.
    package var scores: Bool
    package var logitRows: Int { scores ? positions.count : wantsLogits ? 1 : 0 }

    package init(
      id: SequenceID, positions: Range<Int>, phase: SequenceSlice.Phase, wantsLogits: Bool, scores: Bool = false
    ) {
      self.id = id
      self.positions = positions
      self.phase = phase
      self.wantsLogits = wantsLogits
      self.scores = scores
    }
  }

  package var slices: [Slice] = []
  /// Sequences that gave up their blocks and wait again.
  package var preempted: [SequenceID] = []
  /// Sequences that begin, or begin again, to run with this step.
  package var admitted: [SequenceID] = []

  package var isEmpty: Bool { slices.isEmpty }
  package var rowCount: Int { slices.reduce(0) { $0 + $1.positions.count } }
}
