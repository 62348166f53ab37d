import Engines
import Execution
import Inference
import Testing

/// What is done between steps, and what becomes of requests meanwhile.
@Suite(.timeLimit(.minutes(8))) struct PerformTests {
  struct Reason: Error, Equatable {}
  let executor = FakeExecutor(EngineLoopTests.roomy)

  func request(start: Int32 = 0, tokens: Int = 60) -> GenerationRequest {
    var request = GenerationRequest(promptIDs: (start..<start + 40).map { $0 % 64 }, sampling: .greedy)
    request.sampling.ignoreEndOfSequence = true
    request.sampling.maximumTokens = tokens
    return request
  }
  /// Changes the model, as live weights would; answers the number of the last step on the old one.
  func swap(_ loop: EngineLoop, to version: UInt64) -> @Sendable () -> UInt64 {
    { [executor] in
      executor.state.withLock { $0.model.version = version }
      return loop.statistics.steps
    }
  }
  func expected(_ request: GenerationRequest, version: UInt64) -> [Int32] {
    FakeModel(version: version).answer(request, room: 88).tokens.map(\.id)
  }
  /// Greedy answer with the first `count` tokens from version 0, the rest from version 1. The cache of everything before
  /// the last of those tokens is version 0's (`keepingCache`) or version 1's.
  func mixed(_ request: GenerationRequest, first count: Int, keepingCache: Bool) -> [Int32] {
    let new = FakeModel(version: 1)
    var answer = Array(expected(request, version: 0).prefix(count))
    let old = FakeModel(version: keepingCache ? 0 : 1)
    var history: UInt64 = 0
    var position = 0
    func take(_ token: Int32, _ model: FakeModel, _ phase: SequenceSlice.Phase) {
      history = model.extend(history, token, position: position, phase)
      position += 1
    }
    for token in request.promptIDs { take(token, old, .prefill) }
    for token in answer.dropLast() { take(token, old, .decode) }
    if let last = answer.last { take(last, new, .decode) }
    while answer.count < request.sampling.maximumTokens ?? 0 {
      let logits = new.logits(history)
      let next = Int32(logits.firstIndex(of: logits.max() ?? 0) ?? 0)
      answer.append(next)
      take(next, new, .decode)
    }
    return answer
  }
  /// Asks for an action while a step is held, so that it is known between which steps it runs.
  func perform<R: Sendable>(
    _ loop: EngineLoop, running: RunningRequests, forgettingPrefixes: Bool = false,
    _ body: @Sendable @escaping () throws -> R
  ) async throws -> Task<R, any Error> {
    let before = loop.statistics.pendingActions
    let task = Task { try await loop.perform(running: running, forgettingPrefixes: forgettingPrefixes, body) }
    try await until { loop.statistics.pendingActions > before }
    return task
  }

  @Test func `an idle loop acts at once`() async throws {
    let loop = try EngineLoop(executor: executor)
    #expect(try await loop.perform { 42 } == 42)
    await #expect(throws: Reason.self) { try await loop.perform { throw Reason() } }
    await loop.stop(drain: true)
  }

  @Test func `an action never runs during a step`() async throws {
    let busy = Flag()
    executor.state.withLock { state in
      state.onStep = { _ in
        busy.set(true)
        pause(milliseconds: 1)
        busy.set(false)
      }
    }
    let loop = try EngineLoop(executor: executor)
    let stream = try loop.submit(request())
    for _ in 0..<20 { #expect(try await loop.perform { busy.isSet } == false) }
    _ = try await collect(stream)
    await loop.stop(drain: true)
  }

  @Test("running requests go on, with their cache or with it computed again", arguments: [true, false])
  func switching(keepingCache: Bool) async throws {
    let gate = executor.hold(atStep: 20)
    let loop = try EngineLoop(executor: executor)
    let requests = (0..<4).map { request(start: Int32($0) * 9) }
    // Between two steps, so that all begin together.
    let streams = try await loop.perform { try requests.map { try loop.submit($0) } }
    try await gate.reached()
    let swapped = try await perform(
      loop, running: keepingCache ? .keep : .recompute, forgettingPrefixes: true, swap(loop, to: 1))
    gate.open()
    let last = try await swapped.value
    for (request, stream) in zip(requests, streams) {
      let answer = try await collect(stream)
      let before = answer.tokens.count { $0.step <= last }
      #expect(before > 5 && before < 25, "the swap must come in the middle for this test to mean something")
      #expect(answer.ids == mixed(request, first: before, keepingCache: keepingCache))
    }
    // And nothing of the old version is found by who comes later.
    #expect(try await collect(loop.submit(requests[0])).ids == expected(requests[0], version: 1))
    await loop.stop(drain: true)
  }

  @Test func `requests under way end on the old version, and others wait for the new`() async throws {
    let gate = executor.hold(atStep: 5)
    let loop = try EngineLoop(executor: executor)
    let first = try loop.submit(request())
    try await gate.reached()
    let swapped = try await perform(loop, running: .finish, forgettingPrefixes: true, swap(loop, to: 1))
    let second = try loop.submit(request(start: 7))
    gate.open()
    #expect(try await collect(first).ids == expected(request(), version: 0))
    #expect(try await collect(second).ids == expected(request(start: 7), version: 1))
    #expect(try await swapped.value == 60)
    await loop.stop(drain: true)
  }

  @Test func `requests under way end with the reason, and waiting ones do not`() async throws {
    var limits = EngineLoopTests.roomy
    limits.maximumSequences = 2
    let executor = FakeExecutor(limits)
    let gate = executor.hold(atStep: 5)
    let loop = try EngineLoop(executor: executor)
    let request = request()
    let streams = try await loop.perform { try (0..<3).map { _ in try loop.submit(request) } }
    try await gate.reached()
    let ended = try await perform(loop, running: .end(Reason())) {}
    gate.open()
    try await ended.value
    for stream in streams.prefix(2) { await #expect(throws: Reason.self) { try await collect(stream) } }
    #expect(try await collect(streams[2]).ids == expected(request, version: 0))
    await loop.stop(drain: true)
  }

  @Test(
    "an action that fails changes nothing for anyone",
    arguments: [RunningRequests.keep, .recompute, .end(Reason())])
  func failing(running: RunningRequests) async throws {
    let gate = executor.hold(atStep: 5)
    let loop = try EngineLoop(executor: executor)
    let stream = try loop.submit(request())
    try await gate.reached()
    let failed = try await perform(loop, running: running, forgettingPrefixes: true) { throw Reason() }
    gate.open()
    await #expect(throws: Reason.self) { try await failed.value }
    #expect(try await collect(stream).ids == expected(request(), version: 0))
    #expect(loop.statistics.preemptions == 0)
    #expect(try await collect(loop.submit(request())).usage?.cachedPromptTokens == 32)
    await loop.stop(drain: true)
  }

  @Test func `actions run in the order in which they were asked for`() async throws {
    let gate = executor.hold(atStep: 5)
    let loop = try EngineLoop(executor: executor)
    let stream = try loop.submit(request())
    try await gate.reached()
    let isFirstDone = Flag()
    let first = try await perform(loop, running: .finish) { isFirstDone.set(true) }
    let second = try await perform(loop, running: .keep) { isFirstDone.isSet }
    gate.open()
    #expect(try await second.value)
    try await first.value
    #expect(try await collect(stream).reason == .length)
    await loop.stop(drain: true)
  }
}
