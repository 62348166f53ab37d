public import Execution
import Threads

/// Runs requests on an executor, many at a time: one thread that plans a step, runs it, chooses tokens, and delivers
/// them.
///
/// What a request is answered depends on its prompt, its parameters and its seed, not on what else runs: the scheduler
/// keeps prompt and generated tokens in their phases, ``Sampler`` draws by counter, and the executor computes rows
/// independently.
///
/// Between steps, and only there, the thread runs what is given to ``perform(running:forgettingPrefixes:_:)``; that is
/// where weights change.
public final class EngineLoop: Sendable {
  /// The executor's.
  public let limits: ExecutorLimits
  /// As they were given.
  public let options: EngineLoopOptions
  private let core: LoopCore

  /// Starts the loop's thread. The executor belongs to it until ``stop(drain:)`` returned.
  public init(executor: any Executor, options: EngineLoopOptions = .init()) throws(EngineLoopError) {
    let limits = executor.limits
    guard
      limits.vocabularySize > 0, limits.vocabularySize <= Int(Int32.max), limits.maximumBatchRows > 0,
      limits.maximumSequences > 0, limits.cacheBlockTokens > 0, limits.cacheBlockCount > 0, limits.longestSequence >= 2
    else { throw .unusableLimits(limits) }
    self.limits = limits
    self.options = options
    let core = LoopCore()
    self.core = core
    do { try PlainThread.start { LoopWorker(executor: executor, core: core, options: options).run() } } catch {
      throw .threadNotStarted(errno: error.code)
    }
  }
  deinit { core.requestStop(.now) }

  /// Takes a request.
  ///
  /// Giving up the stream (cancelling the task that reads it, or dropping it) cancels the request before the next step.
  /// - Returns: Tokens as they are chosen. Ends by throwing if the executor fails, or ``SamplingError``.
  public func submit(
    _ request: GenerationRequest
  ) throws(SubmitError) -> AsyncThrowingStream<GenerationEvent, any Error> {
    guard !request.promptIDs.isEmpty else { throw .emptyPrompt }
    let longest = limits.longestSequence - (request.promptScores == .withoutAnswer ? 0 : 1)
    guard request.promptIDs.count <= longest else {
      throw .promptTooLong(
        tokens: request.promptIDs.count, limit: longest, isLimitOfCache: limits.longestSequence < limits.maximumSequenceLength)
    }
    for (index, id) in request.promptIDs.enumerated() where id < 0 || id >= limits.vocabularySize {
      throw .tokenOutOfRange(index: index, id: id, vocabularySize: limits.vocabularySize)
    }
    do { try request.sampling.validate(vocabularySize: limits.vocabularySize) } catch { throw .parameter(error) }
    // Made here: it looks at the whole prompt, and the loop's thread is everybody's.
    let sampler = Sampler(
      request.sampling, fallbackSeed: .random(in: .min ... .max), promptIDs: request.promptIDs,
      endOfSequenceIDs: request.endOfSequenceIDs, vocabularySize: limits.vocabularySize)
    return try core.submit(request, sampler: sampler, maximumQueued: options.maximumQueuedRequests)
  }

  /// Runs `body` on the loop's thread between two steps, after what was asked for before.
  ///
  /// If `body` throws, running requests go on as if it had not been tried.
  /// - Parameters:
  ///   - running: What becomes of requests that are under way.
  ///   - forgettingPrefixes: Whether prompts must no longer find what the cache holds, as when weights changed.
  ///   - body: Must not wait for this loop.
  /// - Throws: What `body` throws; ``EngineLoopError/stopped`` if the loop has ended.
  public func perform<R: Sendable>(
    running: RunningRequests = .keep, forgettingPrefixes: Bool = false, _ body: @Sendable @escaping () throws -> R
  ) async throws -> R {
    try await withCheckedThrowingContinuation { continuation in
      core.post(
        .init(
          running: running, forgetsPrefixes: forgettingPrefixes,
          run: {
            let result = Result { try body() }
            if case .success = result { return (true, { continuation.resume(with: result) }) }
            return (false, { continuation.resume(with: result) })
          },
          refuse: { continuation.resume(throwing: EngineLoopError.stopped) }))
    }
  }

  /// Takes no more requests, and returns when the thread has ended.
  /// - Parameter drain: Whether requests that were taken run to their end. Otherwise they end as `cancelled` after the
  ///   step that runs now. May be called again without draining while it drains.
  public func stop(drain: Bool) async {
    core.requestStop(drain ? .drain : .now)
    await core.waitForEnd()
  }

  /// How the loop was after its last step.
  public var statistics: LoopStatistics { core.statistics }
}
