import Engines
import Execution
import Inference
import RecordingBackend
import Synchronization

/// Runs a ``FakeModel`` on a real paged cache: every slot keeps what was written to it, and every row checks that the
/// blocks it was shown hold its own history, position by position. A wrong block table cannot go unseen.
final class FakeExecutor: Executor {
  struct Fault: Error, Equatable, CustomStringConvertible {
    var description: String
  }
  fileprivate struct Slot {
    var position = -1
    var token: Int32 = -1
    var phase = SequenceSlice.Phase.prefill
    var history: UInt64 = 0
    /// Of the model that computed it.
    var version: UInt64 = 0
  }
  struct State {
    var model: FakeModel
    fileprivate var slots: [Slot]
    /// What every step was given.
    var batches: [Batch] = []
    /// Thrown by the step with this number, counting from 0.
    var failures: [Int: Fault] = [:]
    /// Turns logits into NaN for histories of this many tokens.
    var notANumberAfter: Int?
    fileprivate var begun: [(Int, LogitsWanted, [Float])] = []
    /// Called at the start of a step.
    var onStep: (@Sendable (Int) -> Void)?
  }

  let limits: ExecutorLimits
  let state: Mutex<State>

  init(_ limits: ExecutorLimits, model: FakeModel = .init()) {
    var limits = limits
    limits.vocabularySize = model.vocabularySize
    self.limits = limits
    state = Mutex(
      State(model: model, slots: Array(repeating: Slot(), count: limits.cacheBlockCount * limits.cacheBlockTokens)))
  }
  /// Holds the step with this number, counting from 0, until the gate is opened.
  func hold(atStep number: Int) -> Gate {
    let gate = Gate()
    state.withLock { $0.onStep = { if $0 == number { gate.wait() } } }
    return gate
  }
  var batches: [Batch] { state.withLock { $0.batches } }

  func submit(_ batch: Batch) throws -> StepID {
    let hook = state.withLock { ($0.onStep, $0.batches.count) }
    hook.0?(hook.1)
    try state.withLock { state in
      let number = state.batches.count
      state.batches.append(batch)
      if let failure = state.failures[number] { throw failure }
      state.begun = try compute(batch, &state)
    }
    return StepID(UInt64(hook.1))
  }

  /// Exactly what was wanted; but logits for the best, so that probabilities are those of the sampler to the last bit.
  func finish(_ step: StepID, _ answer: (_ sequence: Int, _ answer: RowAnswer) -> Void) throws {
    for (sequence, wanted, logits) in state.withLock({ $0.begun }) {
      let given: LogitsWanted = if case .best = wanted { .all } else { wanted }
      given.answer(from: logits) { answer(sequence, $0) }
    }
  }

  private func compute(_ batch: Batch, _ state: inout State) throws -> [(Int, LogitsWanted, [Float])] {
    try require(!batch.tokens.isEmpty && batch.tokens.count <= limits.maximumBatchRows, "\(batch.tokens.count) rows")
    try require(batch.sequences.count <= limits.maximumSequences, "\(batch.sequences.count) sequences")
    var nextRow = 0
    var written: Set<Int32> = []
    var results: [(Int, LogitsWanted, [Float])] = []
    for (index, slice) in batch.sequences.enumerated() {
      try require(slice.rows.lowerBound == nextRow && !slice.rows.isEmpty, "rows \(slice.rows) after \(nextRow)")
      nextRow = slice.rows.upperBound
      let end = slice.firstPosition + slice.rows.count
      try require(end <= limits.maximumSequenceLength, "position \(end)")
      try require(slice.blockTable.count * limits.cacheBlockTokens >= end, "a table of \(slice.blockTable) for \(end)")
      try require(Set(slice.blockTable).count == slice.blockTable.count, "a block twice in \(slice.blockTable)")
      func slot(_ position: Int) -> Int {
        Int(slice.blockTable[position / limits.cacheBlockTokens]) * limits.cacheBlockTokens
          + position % limits.cacheBlockTokens
      }
      var history: UInt64 = 0
      for position in 0..<slice.firstPosition {
        let found = state.slots[slot(position)]
        try require(found.position == position, "position \(found.position) where \(position) should be")
        var model = state.model
        model.version = found.version
        history = model.extend(history, found.token, position: position, found.phase)
        try require(found.history == history, "another sequence's token at position \(position)")
      }
      for (offset, token) in batch.tokens[slice.rows].enumerated() {
        let position = slice.firstPosition + offset
        let block = slice.blockTable[position / limits.cacheBlockTokens]
        if offset == 0 || position % limits.cacheBlockTokens == 0 {
          try require(written.insert(block).inserted, "block \(block) written by two sequences")
        }
        history = state.model.extend(history, token, position: position, slice.phase)
        state.slots[slot(position)] = Slot(
          position: position, token: token, phase: slice.phase, history: history, version: state.model.version)
        guard offset >= slice.rows.count - slice.logitRows else { continue }
        var values = state.model.logits(history)
        if let count = state.notANumberAfter, position + 1 == count { values[3] = .nan }
        results.append((index, slice.wanted, values))
      }
    }
    try require(results.count <= limits.maximumLogitRows, "\(results.count) rows want logits")
    try require(nextRow == batch.tokens.count, "\(nextRow) of \(batch.tokens.count) rows in slices")
    return results
  }
  private func require(_ condition: Bool, _ what: @autoclosure () -> String) throws {
    guard condition else { throw Fault(description: what()) }
  }
}
