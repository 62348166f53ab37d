import Engines
import Execution
import Inference
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(8))) struct EngineLoopTests {
  static let roomy = ExecutorLimits(
    vocabularySize: 64, maximumSequenceLength: 128, maximumBatchRows: 64, maximumSequences: 16, cacheBlockTokens: 16,
    cacheBlockCount: 200)
  /// Cache, rows and sequences all too few, so that requests are chunked, wait, and are preempted.
  static let tight = ExecutorLimits(
    vocabularySize: 64, maximumSequenceLength: 128, maximumBatchRows: 12, maximumSequences: 8, cacheBlockTokens: 4,
    cacheBlockCount: 40)

  @Test("an answer is the same alone and among others", arguments: [roomy, tight], [1, 2, 3] as [UInt64])
  func sameAmongOthers(limits: ExecutorLimits, seed: UInt64) async throws {
    var generator = SeededGenerator(seed: seed)
    let prefixes: [[Int32]] = [[], (0..<40).map { Int32($0) }, (0..<33).map { Int32(63 - $0) }]
    let requests = (0..<60).map { _ in randomRequest(&generator, prefixes: prefixes) }
    let executor = FakeExecutor(limits)
    let loop = try EngineLoop(
      executor: executor, options: .init(maximumQueuedRequests: 100, maximumPrefillRowsBesideDecode: 7))
    // Between two steps, so that all begin together.
    let streams = try await loop.perform { try requests.map { try loop.submit($0) } }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (request, stream) in zip(requests, streams) {
        group.addTask {
          let answer = try await collect(stream)
          let expected = FakeModel().answer(request, room: limits.longestSequence - request.promptIDs.count)
          #expect(answer.choices == expected.tokens)
          #expect(answer.reason == expected.reason)
          #expect(answer.usage?.promptTokens == request.promptIDs.count)
        }
      }
      try await group.waitForAll()
    }
    let statistics = loop.statistics
    #expect(statistics.freeBlocks == limits.cacheBlockCount)
    #expect(statistics.stoppedRequests + statistics.lengthRequests == 60)
    #expect(statistics.cachedPromptTokens > 0, "prefix reuse must have happened for this test to mean something")
    if limits == Self.tight { #expect(statistics.preemptions > 0, "preemption must have happened") }
    let batches = executor.batches
    #expect(batches.contains { $0.sequences.count > 2 }, "requests must have run together")
    await loop.stop(drain: true)
  }

  @Test("prompt scores are the same alone and among others, whatever the cache holds", arguments: [roomy, tight], [4, 5] as [UInt64])
  func promptScores(limits: ExecutorLimits, seed: UInt64) async throws {
    var generator = SeededGenerator(seed: seed)
    let prefixes: [[Int32]] = [[], (0..<40).map { Int32($0) }]
    let requests = (0..<60).map { index in
      var request = randomRequest(&generator, prefixes: prefixes)
      request.promptScores = [.none, .beforeAnswer, .withoutAnswer][index % 3]
      return request
    }
    let loop = try EngineLoop(
      executor: FakeExecutor(limits), options: .init(maximumQueuedRequests: 100, maximumPrefillRowsBesideDecode: 7))
    let streams = try await loop.perform { try requests.map { try loop.submit($0) } }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (request, stream) in zip(requests, streams) {
        group.addTask {
          let answer = try await collect(stream)
          let expected = FakeModel().answer(request, room: limits.longestSequence - request.promptIDs.count)
          let isOnly = request.promptScores == .withoutAnswer
          #expect(answer.choices == (isOnly ? [] : expected.tokens))
          #expect(answer.reason == (isOnly ? .length : expected.reason))
          #expect(answer.usage?.generatedTokens == (isOnly ? 0 : answer.usage?.generatedTokens))
          guard request.promptScores != .none else { return #expect(answer.promptScores == nil) }
          #expect(answer.usage?.cachedPromptTokens == 0)
          let scores = try #require(answer.promptScores)
          #expect(scores.map(\.id) == Array(request.promptIDs.dropFirst()))
          let wanted = FakeModel().promptScores(request)
          for (mine, wanted) in zip(scores, wanted) {
            #expect(abs(Double(mine.logProbability ?? .nan) - wanted) < 1e-5)
            #expect(mine.top?.count == request.sampling.logProbabilities ?? 0)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(loop.statistics.freeBlocks == limits.cacheBlockCount)
    if limits == Self.tight { #expect(loop.statistics.preemptions > 0, "preemption must have happened") }
    await loop.stop(drain: true)
  }

  @Test func `a prompt that is only scored may be as long as the engine holds`() async throws {
    let loop = try EngineLoop(executor: FakeExecutor(Self.roomy))
    var request = GenerationRequest(promptIDs: (0..<128).map { Int32($0 % 64) }, sampling: .greedy, promptScores: .withoutAnswer)
    #expect(try await collect(loop.submit(request)).promptScores?.count == 127)
    request.promptScores = .beforeAnswer
    #expect(throws: SubmitError.promptTooLong(tokens: 128, limit: 127)) { try loop.submit(request) }
    await loop.stop(drain: true)
  }

  @Test func `scores of logits that are no numbers end the request with the reason`() async throws {
    let executor = FakeExecutor(Self.roomy)
    executor.state.withLock { $0.notANumberAfter = 5 }
    let loop = try EngineLoop(executor: executor)
    let request = GenerationRequest(promptIDs: (0..<100).map { Int32($0 % 64) }, sampling: .greedy, promptScores: .withoutAnswer)
    await #expect { try await collect(loop.submit(request)) } throws: {
      ($0 as? SamplingError)?.problem == .notFinite(tokenID: 3)
    }
    #expect(loop.statistics.freeBlocks == 200)
    await loop.stop(drain: true)
  }

  @Test func `a preempted sequence computes its answer again in the decode phase`() async throws {
    let executor = FakeExecutor(Self.tight)
    let loop = try EngineLoop(executor: executor)
    var generator = SeededGenerator(seed: 9)
    let requests = (0..<30).map { _ in randomRequest(&generator, promptLength: 20...40) }
    let streams = try await loop.perform { try requests.map { try loop.submit($0) } }
    for stream in streams { _ = try await collect(stream) }
    #expect(executor.batches.contains { $0.sequences.contains { $0.phase == .decode && $0.rows.count > 1 } })
    await loop.stop(drain: true)
  }

  @Test func `a second request with the same prompt finds its full blocks in the cache`() async throws {
    let loop = try EngineLoop(executor: FakeExecutor(Self.roomy))
    var request = GenerationRequest(promptIDs: (0..<50).map { Int32($0) }, sampling: .greedy)
    request.sampling.maximumTokens = 20
    let first = try await collect(loop.submit(request))
    let second = try await collect(loop.submit(request))
    #expect(first.usage?.cachedPromptTokens == 0)
    #expect(second.usage?.cachedPromptTokens == 48)
    #expect(first.ids == second.ids)
    // A prompt that is that answer's text must not find blocks which were computed in the decode phase.
    var longer = request
    longer.promptIDs += first.ids
    let third = try await collect(loop.submit(longer))
    #expect(third.usage?.cachedPromptTokens == 48)
    await loop.stop(drain: true)
  }

  @Test func `a prompt that ends with its last full block computes that block again`() async throws {
    let loop = try EngineLoop(executor: FakeExecutor(Self.roomy))
    var request = GenerationRequest(promptIDs: (0..<32).map { Int32($0) }, sampling: .greedy)
    request.sampling.maximumTokens = 3
    let first = try await collect(loop.submit(request))
    let second = try await collect(loop.submit(request))
    #expect(second.usage?.cachedPromptTokens == 16)
    #expect(first.ids == second.ids)
    await loop.stop(drain: true)
  }

  @Test func `giving up a stream frees its blocks`() async throws {
    let executor = FakeExecutor(Self.roomy)
    let gate = executor.hold(atStep: 3)
    let loop = try EngineLoop(executor: executor)
    var request = GenerationRequest(promptIDs: [1, 2, 3], sampling: .greedy)
    request.sampling.ignoreEndOfSequence = true
    do {
      var iterator = try loop.submit(request).makeAsyncIterator()
      _ = try await iterator.next()
      try await gate.reached()
      #expect(loop.statistics.freeBlocks == 199)
    }
    gate.open()
    try await until { loop.statistics.cancelledRequests == 1 }
    #expect(loop.statistics.freeBlocks == 200)
    #expect(loop.statistics.running == 0)
    #expect(loop.statistics.generatedTokens == 4)
    await loop.stop(drain: true)
  }

  @Test func `cancelling the reading task cancels the request, waiting or running`() async throws {
    let executor = FakeExecutor(Self.tight)
    let gate = executor.hold(atStep: 2)
    let loop = try EngineLoop(executor: executor, options: .init(maximumQueuedRequests: 30))
    var request = GenerationRequest(promptIDs: [1, 2, 3], sampling: .greedy)
    request.sampling.ignoreEndOfSequence = true
    let tasks = try (0..<20).map { _ in
      let stream = try loop.submit(request)
      return Task { try await collect(stream) }
    }
    try await gate.reached()
    for task in tasks { task.cancel() }
    for task in tasks { _ = await task.result }
    gate.open()
    try await until { loop.statistics.cancelledRequests == 20 }
    #expect(loop.statistics.freeBlocks == 40)
    #expect(loop.statistics.queued == 0)
    // The queue's places are free again.
    request.sampling.maximumTokens = 1
    let streams = try (0..<30).map { _ in try loop.submit(request) }
    for stream in streams { #expect(try await collect(stream).reason == .length) }
    await loop.stop(drain: true)
  }

  @Test func `one request more than may wait is refused`() async throws {
    let executor = FakeExecutor(Self.roomy)
    let gate = executor.hold(atStep: 0)
    let loop = try EngineLoop(executor: executor, options: .init(maximumQueuedRequests: 3))
    var request = GenerationRequest(promptIDs: [1], sampling: .greedy)
    request.sampling.maximumTokens = 2
    let first = try loop.submit(request)
    try await gate.reached()
    let others = try (0..<3).map { _ in try loop.submit(request) }
    let error = #expect(throws: SubmitError.self) { try loop.submit(request) }
    #expect(error == .queueFull(waiting: 3, limit: 3))
    #expect(loop.statistics.queued == 3)
    gate.open()
    for stream in [first] + others { #expect(try await collect(stream).reason == .length) }
    #expect(loop.statistics.refusedRequests == 1)
    await loop.stop(drain: true)
  }

  @Test func `a request that cannot be run is refused with the reason`() async throws {
    let loop = try EngineLoop(executor: FakeExecutor(Self.tight))
    func refusal(_ request: GenerationRequest) -> SubmitError? {
      #expect(throws: SubmitError.self) { try loop.submit(request) }
    }
    #expect(refusal(.init(promptIDs: [])) == .emptyPrompt)
    #expect(refusal(.init(promptIDs: Array(repeating: 1, count: 128))) == .promptTooLong(tokens: 128, limit: 127))
    #expect(refusal(.init(promptIDs: [1, 64])) == .tokenOutOfRange(index: 1, id: 64, vocabularySize: 64))
    #expect(refusal(.init(promptIDs: [-1])) == .tokenOutOfRange(index: 0, id: -1, vocabularySize: 64))
    var hot = GenerationRequest(promptIDs: [1])
    hot.sampling.temperature = -1
    guard case .parameter(let error) = refusal(hot) else { return #expect(Bool(false), "no parameter error") }
    #expect(error.parameter == .temperature)
    await loop.stop(drain: true)
    #expect(refusal(.init(promptIDs: [1])) == .stopping)
  }

  @Test func `an answer ends where the sequence is as long as the engine allows`() async throws {
    let loop = try EngineLoop(executor: FakeExecutor(Self.tight))
    var request = GenerationRequest(promptIDs: Array(repeating: 7, count: 100), sampling: .greedy)
    request.sampling.ignoreEndOfSequence = true
    let answer = try await collect(loop.submit(request))
    #expect(answer.tokens.count == 28)
    #expect(answer.reason == .length)
    let longest = try await collect(loop.submit(.init(promptIDs: Array(repeating: 7, count: 127), sampling: .greedy)))
    #expect(longest.usage?.generatedTokens == 1)
    await loop.stop(drain: true)
  }

  @Test func `an executor's error ends running requests and the loop goes on`() async throws {
    let executor = FakeExecutor(Self.roomy)
    let fault = FakeExecutor.Fault("the device fell off")
    executor.state.withLock { $0.failures = [2: fault] }
    let loop = try EngineLoop(executor: executor)
    var request = GenerationRequest(promptIDs: [1, 2, 3], sampling: .greedy)
    request.sampling.ignoreEndOfSequence = true
    request.sampling.maximumTokens = 10
    let stream = try loop.submit(request)
    let error = await #expect(throws: FakeExecutor.Fault.self) { try await collect(stream) }
    #expect(error == fault)
    #expect(loop.statistics.freeBlocks == 200)
    #expect(loop.statistics.failedRequests == 1)
    #expect(try await collect(loop.submit(request)).tokens.count == 10)
    await loop.stop(drain: true)
  }

  @Test func `logits that are not numbers end their own request only`() async throws {
    let executor = FakeExecutor(Self.roomy)
    executor.state.withLock { $0.notANumberAfter = 5 }
    let loop = try EngineLoop(executor: executor)
    var request = GenerationRequest(promptIDs: [1, 2, 3], sampling: .greedy)
    request.sampling.ignoreEndOfSequence = true
    request.sampling.maximumTokens = 10
    var longer = request
    longer.promptIDs = [1, 2, 3, 4, 5, 6]
    let (bad, good) = (try loop.submit(request), try loop.submit(longer))
    let error = await #expect(throws: SamplingError.self) { try await collect(bad) }
    #expect(error?.problem == .notFinite(tokenID: 3))
    #expect(try await collect(good).tokens.count == 10)
    await loop.stop(drain: true)
  }

  @Test("draining lets requests end, and stopping cancels them", arguments: [true, false])
  func stopping(drain: Bool) async throws {
    let executor = FakeExecutor(Self.tight)
    let gate = executor.hold(atStep: 5)
    let loop = try EngineLoop(executor: executor)
    var request = GenerationRequest(promptIDs: [1, 2, 3], sampling: .greedy)
    request.sampling.ignoreEndOfSequence = true
    request.sampling.maximumTokens = 50
    let streams = try (0..<12).map { _ in try loop.submit(request) }
    async let stopped: Void = loop.stop(drain: drain)
    try await until { loop.statistics.isStopping }
    gate.open()
    for stream in streams {
      let answer = try await collect(stream)
      #expect(answer.reason == (drain ? .length : .cancelled))
      if drain { #expect(answer.tokens.count == 50) }
    }
    await stopped
    #expect(loop.statistics.freeBlocks == 40)
    await loop.stop(drain: drain)  // again does nothing
    await #expect(throws: EngineLoopError.stopped) { try await loop.perform {} }
  }

  @Test func `a loop that drains can be told to stop at once`() async throws {
    let executor = FakeExecutor(Self.roomy)
    let gate = executor.hold(atStep: 5)
    let loop = try EngineLoop(executor: executor)
    var request = GenerationRequest(promptIDs: [1, 2, 3], sampling: .greedy)
    request.sampling.ignoreEndOfSequence = true
    let stream = try loop.submit(request)
    async let drained: Void = loop.stop(drain: true)
    try await until { loop.statistics.isStopping }
    async let stopped: Void = loop.stop(drain: false)
    gate.open()
    // Either it was told in time, or it had ended by itself.
    #expect(try await collect(stream).reason != nil)
    await drained
    await stopped
  }

  @Test func `dropping the loop ends its thread and its requests`() async throws {
    let executor = FakeExecutor(Self.roomy)
    let gate = executor.hold(atStep: 5)
    var request = GenerationRequest(promptIDs: [1, 2, 3], sampling: .greedy)
    request.sampling.ignoreEndOfSequence = true
    let stream = try EngineLoop(executor: executor).submit(request)
    gate.open()
    #expect(try await collect(stream).reason == .cancelled)
  }

  @Test func `a request without a seed gets a fresh one, and seeded ones repeat`() async throws {
    let loop = try EngineLoop(executor: FakeExecutor(Self.roomy))
    var request = GenerationRequest(promptIDs: [1, 2, 3])
    request.sampling.ignoreEndOfSequence = true
    request.sampling.maximumTokens = 20
    #expect(try await collect(loop.submit(request)).ids != collect(loop.submit(request)).ids)
    request.sampling.seed = 5
    let seeded = try await collect(loop.submit(request)).ids
    #expect(try await collect(loop.submit(request)).ids == seeded)
    request.sampling.choice = 1
    #expect(try await collect(loop.submit(request)).ids != seeded)
    await loop.stop(drain: true)
  }
}
