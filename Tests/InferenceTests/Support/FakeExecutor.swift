import Engines
import Execution
import Inference
import RecordingBackend
import Synchronization

/// Runs a ``FakeModel`` on a real paged cache, which checks what it is shown.
final class FakeExecutor: Executor {
  typealias Fault = RecordingBackend.Fault
  struct State {
    var model: FakeModel
    fileprivate var cache: RecordedCache
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
      State(model: model, cache: RecordedCache(limits)))
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
    guard !batch.tokens.isEmpty else { throw Fault("a step of no rows") }
    let model = state.model
    let rows = try state.cache.write(batch, weights: model.version) { history, token, position, phase, version in
      var model = model
      model.version = version
      return model.extend(history, token, position: position, phase)
    }
    return rows.map { row in
      var values = model.logits(row.history)
      if let count = state.notANumberAfter, row.position + 1 == count { values[3] = .nan }
      return (row.sequence, row.wanted, values)
    }
  }
}
