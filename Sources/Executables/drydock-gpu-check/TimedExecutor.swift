import Execution
import Synchronization

/// An engine whose steps' ends are noted.
final class TimedExecutor: Executor {
  private let engine: any OpenedEngine
  private let ends = Mutex<[ContinuousClock.Instant]>([])

  init(_ engine: any OpenedEngine) { self.engine = engine }

  var limits: ExecutorLimits { engine.limits }
  func submit(_ batch: Batch) throws -> StepID { try engine.submit(batch) }
  func finish(_ step: StepID, _ answer: (_ sequence: Int, _ answer: RowAnswer) -> Void) throws {
    try engine.finish(step, answer)
    ends.withLock { $0.append(.now) }
  }

  /// Milliseconds from the end of the step before to the end of each step of a range, counted from 1.
  func gaps(_ steps: Range<UInt64>) -> [Double] {
    ends.withLock { ends in
      steps.compactMap { step in
        let index = Int(step) - 1
        return ends.indices.contains(index) && index > 0 ? (ends[index] - ends[index - 1]) / .milliseconds(1) : nil
      }
    }
  }
  var count: UInt64 { ends.withLock { UInt64($0.count) } }
}
