/// Names a step that was begun.
public struct StepID: Sendable, Hashable {
  /// No two steps of one executor have the same.
  public let number: UInt64
  /// - Parameter number: The executor's own count.
  public init(_ number: UInt64) { self.number = number }
}

/// Computes steps of a model: a batch in, an answer for each row that wants one, keys and values kept in a paged cache.
///
/// Used by one thread at a time. A step is begun and finished apart, so that a device can compute while the host does
/// something else; one that computes on the host does all of it in ``submit(_:)``.
public protocol Executor: AnyObject, Sendable {
  /// Does not change while the executor is used.
  var limits: ExecutorLimits { get }

  /// Why no step can succeed any more, in words, such as a device that was lost; nil while they can. From any thread.
  var failure: String? { get }

  /// Bytes of memory that a step reads at least; nil where the executor cannot tell.
  func bytesRead(_ batch: Batch) -> Int?

  /// Begins a step, which writes its rows' keys and values to the cache.
  ///
  /// - Precondition: Fewer than ``ExecutorLimits/stepsInFlight`` are unfinished.
  /// - Parameter batch: Checked: what does not fit ``limits`` is refused before anything is computed.
  /// - Throws: ``BatchError`` and anything else. No step was begun then, but the blocks of the batch's sequences may have
  ///   been written to; blocks of other sequences are unharmed.
  func submit(_ batch: Batch) throws -> StepID

  /// Waits for a step, in the order in which they were begun, and hands out its answers.
  ///
  /// - Parameter answer: Called on the calling thread once for every row that wants something, a slice's rows in order,
  ///   slices in the batch's order, with the slice's index in `batch.sequences`. The answer does for what was wanted.
  /// - Throws: Anything; see ``submit(_:)``.
  func finish(_ step: StepID, _ answer: (_ sequence: Int, _ answer: RowAnswer) -> Void) throws
}

extension Executor {
  /// nil, where an executor does not say otherwise.
  public var failure: String? { nil }
  /// nil, where an executor does not say otherwise.
  public func bytesRead(_ batch: Batch) -> Int? { nil }

  /// Computes one step and waits for it, with the logits of all rows that want any, `[vocabularySize]` each.
  ///
  /// - Parameter batch: Its slices want ``LogitsWanted/all``.
  public func step(_ batch: Batch, logits: (_ sequence: Int, _ logits: UnsafeMutableBufferPointer<Float>) -> Void) throws {
    try finish(try submit(batch)) { sequence, answer in
      guard case .all(let row) = answer else { return }
      unsafe logits(sequence, row.buffer)
    }
  }
}
