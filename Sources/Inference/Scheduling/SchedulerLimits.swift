/// What a ``Scheduler`` keeps to.
package struct SchedulerLimits: Sendable, Hashable {
  /// Most rows in a step.
  package var maximumRows: Int
  /// Most sequences running at once.
  package var maximumSequences: Int
  /// Most rows of prompts, and of answers that are computed again, in a step in which an answer is being generated, so
  /// that a long prompt does not stall it.
  package var maximumCatchUpRowsBesideDecode: Int

  /// Most rows in a step that want logits.
  package var maximumLogitRows: Int

  /// - Precondition: All are above 0.
  package init(
    maximumRows: Int, maximumSequences: Int, maximumLogitRows: Int = .max, maximumCatchUpRowsBesideDecode: Int = .max
  ) {
    precondition(maximumRows > 0 && maximumSequences > 0 && maximumCatchUpRowsBesideDecode > 0)
    self.maximumRows = maximumRows
    // Each running sequence gets a row in every step; so none waits for others' rows.
    self.maximumSequences = min(maximumSequences, maximumRows)
    self.maximumLogitRows = min(max(maximumLogitRows, self.maximumSequences), maximumRows)
    self.maximumCatchUpRowsBesideDecode = maximumCatchUpRowsBesideDecode
  }
}
