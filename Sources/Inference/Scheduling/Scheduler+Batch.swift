package import Execution

extension Scheduler {
  /// Spells a plan out for an executor; slices keep their order.
  package func batch(for plan: StepPlan) -> Batch {
    var batch = Batch(tokens: [], sequences: [])
    batch.tokens.reserveCapacity(plan.rowCount)
    batch.sequences.reserveCapacity(plan.slices.count)
    for slice in plan.slices {
      guard let sequence = self[slice.id] else { continue }
      let start = batch.tokens.count
      batch.tokens.append(contentsOf: sequence.tokens[slice.positions])
      batch.sequences.append(
        SequenceSlice(
          rows: start..<batch.tokens.count, firstPosition: slice.positions.lowerBound, blockTable: sequence.blocks,
          phase: slice.phase, logitRows: slice.logitRows))
    }
    return batch
  }
}
