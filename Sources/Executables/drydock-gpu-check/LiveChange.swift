import CUDABackend
import Engines
import Execution
import Files
import Inference
import Synchronization
import SystemPackage

/// Requests to an engine's loop: the same stream asks the same.
private final class Streams: Sendable {
  let loop: EngineLoop
  private let vocabulary: Int
  private let state = Mutex((hasEnded: false, counts: [String: Int]()))

  init(_ loop: EngineLoop, vocabulary: Int) { (self.loop, self.vocabulary) = (loop, vocabulary) }

  private func request(_ stream: Int, _ tokens: Int) -> GenerationRequest {
    var random = SplitMix(state: UInt64(1000 + stream))
    var sampling = SamplingParameters.greedy
    sampling.maximumTokens = tokens
    sampling.ignoreEndOfSequence = true
    return GenerationRequest(
      promptIDs: (0..<(20 + 7 * stream)).map { _ in Int32(random.next() % UInt64(vocabulary)) }, sampling: sampling)
  }

  func answer(_ stream: Int, _ tokens: Int = 40) async throws -> [GeneratedToken] {
    var found: [GeneratedToken] = []
    for try await event in try loop.submit(request(stream, tokens)) { if case .token(let token) = event { found.append(token) } }
    return found
  }

  /// Asks until the flag to end is set; the number of answers that are not one version's alone.
  func askOn(_ stream: Int, _ wanted: [String: [[Int32]]], _ log: WeightVersionLog) async throws -> Int {
    var wrong = 0
    while !state.withLock({ $0.hasEnded }) {
      let found = try await answer(stream)
      let names = Set(found.map { log.version(ofStep: $0.step) })
      if names.count != 1 || wanted[names.first ?? ""]?[stream] != found.map(\.id) { wrong += 1 }
      state.withLock { $0.counts[names.first ?? "", default: 0] += 1 }
    }
    return wrong
  }
  func end() { state.withLock { $0.hasEnded = true } }
  /// Answers by version.
  var counts: [String: Int] { state.withLock { $0.counts } }
}

/// Weights of an engine that answers several streams change to another model's, to an adapter's, and back.
struct LiveChange {
  let name: String
  let shape: ModelShape
  let models: Models
  let report: Report

  init(_ name: String, _ shape: ModelShape, _ models: Models, _ report: Report) {
    (self.name, self.shape, self.models, self.report) = (name, shape, models, report)
  }

  private static let streams = 8
  private static var workers: Int { max(1, Processors.count - 2) }

  func run() async throws {
    report.tell("live changes of \(name)")
    let path = try await models.build(try models.write(shape, "model", seed: 1), "cuda", models.cuda)
    models.scratch.remove("model")
    let other = models.scratch("other")
    try shape.writePublished(other, seed: 2)
    // The processor makes the weights of this one.
    let otherEngine = try await models.build(other, "other-engine", models.cuda)
    let adapter = models.scratch("adapter")
    try Adapter(shape: shape).write(adapter, seed: 3)
    defer { for name in ["other", "other-engine", "cuda", "adapter"] { models.scratch.remove(name) } }
    let directory = try EngineDirectory(path)
    var options = ExecutorOptions()
    options.maximumSequences = 64
    options.maximumBatchRows = 512
    options.maximumSequenceLength = 2048
    options.weightRoom = .oneCopy
    let opening = ContinuousClock.now
    let engine = try models.cuda.open(directory, options: options)
    report.tell("opened in \(milliseconds(.now - opening)) ms")
    let executor = TimedExecutor(engine)
    let loop = try EngineLoop(executor: executor)
    let refitter = try await LiveRefitter(directory)
    let live = try LiveWeights(engine: engine, loop: loop, refitter: refitter, workers: Self.workers)
    let first = live.log.current

    // What each version answers, alone.
    var wanted: [String: [[Int32]]] = [first: try await answers(loop)]
    let made = try await prepare(LiveSource(path: other.string), live, executor, "all weights of a published model, nothing running")
    let adapted = try await prepare(LiveSource(path: adapter.string), live, executor, "an adapter, nothing running")
    try await compare(live, refitter, made, try EngineDirectory(otherEngine), adapted, adapter)
    for version in [made, adapted] {
      try await live.activate(version)
      wanted[version] = try await answers(loop)
      try await live.undo()
    }
    report.check(
      try await answers(loop) == wanted[first] && wanted[made] != wanted[first] && wanted[adapted] != wanted[first],
      "\(name): answers of two versions differ from the first's, and undoing gives those again")

    try await underLoad(
      live, loop, executor, wanted, [made, adapted],
      [("all weights of a published model", other), ("all weights of an engine", otherEngine), ("an adapter", adapter)])
    try await gaps(live, loop, executor, [adapted, made])
    if shape.hidden > 1000 { try await refusal(live, other) }  // smaller ones always fit
    await loop.stop(drain: false)
  }

  // MARK: Steps of the check

  /// Whether what the card made has the digests of what the processor makes.
  private func compare(
    _ live: LiveWeights, _ refitter: LiveRefitter, _ made: String, _ engine: EngineDirectory, _ adapted: String, _ adapter: FilePath
  ) async throws {
    let versions = await live.overview().versions
    func digests(_ name: String) -> [RankDigest] { versions.first { $0.name == name }?.digests ?? [] }
    let built = try Lineage(directory: engine.path)?.ranks ?? []
    report.check(
      !built.isEmpty && digests(made).map(\.weights) == built.map(\.weights),
      "\(name): digests of \(built.first?.weights.count ?? 0) weights that the card made are those of the engine that the processor built")
    let start = ContinuousClock.now
    let host = try await refitter.make(LiveSource(path: adapter.string), workers: Self.workers)
    report.check(
      host.lineage.ranks == digests(adapted),
      "\(name): so are those with the adapter, which the processor makes in \(milliseconds(.now - start)) ms")
  }

  private func answers(_ loop: EngineLoop) async throws -> [[Int32]] {
    var found: [[Int32]] = []
    let streams = Streams(loop, vocabulary: shape.vocabulary)
    for stream in 0..<Self.streams { found.append(try await streams.answer(stream).map(\.id)) }
    return found
  }

  private func prepare(_ source: LiveSource, _ live: LiveWeights, _ executor: TimedExecutor, _ what: String) async throws -> String {
    let (start, step) = (ContinuousClock.now, executor.count)
    let facts = try await live.prepare(source)
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    let gaps = executor.gaps(step + 1..<executor.count + 1).sorted()
    report.tell(
      "\(name), \(what): \(facts.byteCount / 1_000_000) MB made, on the card and digested in \((seconds * 1000).rounded() / 1000) s, "
        + "\((Double(facts.byteCount) / seconds / 1e8).rounded() / 10) GB/s"
        + (gaps.isEmpty ? "" : "; steps meanwhile \(rounded(gaps[gaps.count / 2])) ms, at most \(rounded(gaps.last ?? 0))"))
    return facts.name
  }

  /// Streams ask one thing after the other while weights change: each answer is one version's.
  private func underLoad(
    _ live: LiveWeights, _ loop: EngineLoop, _ executor: TimedExecutor, _ wanted: [String: [[Int32]]], _ versions: [String],
    _ sources: [(what: String, path: FilePath)]
  ) async throws {
    let streams = Streams(loop, vocabulary: shape.vocabulary)
    let log = live.log
    let wrong = try await withThrowingTaskGroup(of: Int.self) { group in
      for stream in 0..<Self.streams { group.addTask { try await streams.askOn(stream, wanted, log) } }
      for version in versions + versions {
        try await Task.sleep(for: .milliseconds(300))
        try await live.activate(version)
        try await Task.sleep(for: .milliseconds(300))
        try await live.undo()
      }
      // What is deleted is made again, beside the streams.
      for version in versions { try await live.delete(version) }
      for round in 1...3 {
        for source in sources {
          try await Task.sleep(for: .milliseconds(200))
          let again = try await prepare(LiveSource(path: source.path.string), live, executor, "\(source.what), \(Self.streams) streams running")
          if round == 3 {
            try await live.activate(again)
            try await Task.sleep(for: .milliseconds(300))
            try await live.undo()
            try await Task.sleep(for: .milliseconds(100))  // the streams' next prompts, all at once
          }
          let step = executor.count
          try await live.delete(again)
          try await Task.sleep(for: .milliseconds(100))
          report.tell("\(name): steps while it is deleted at most \(rounded(executor.gaps(step + 1..<executor.count + 1).max() ?? 0)) ms")
        }
      }
      _ = try await live.prepare(LiveSource(path: sources[0].path.string))
      _ = try await live.prepare(LiveSource(path: sources[2].path.string))
      streams.end()
      return try await group.reduce(0, +)
    }
    let found = streams.counts
    report.check(
      wrong == 0 && found.count == 3 && found.values.allSatisfy { $0 >= Self.streams },
      "\(name): \(found.values.sorted().map(String.init).joined(separator: " + ")) answers of \(Self.streams) streams by three versions, each by one alone: \(wrong) wrong")
  }

  /// Running streams go on with other weights.
  private func gaps(_ live: LiveWeights, _ loop: EngineLoop, _ executor: TimedExecutor, _ versions: [String]) async throws {
    let streams = Streams(loop, vocabulary: shape.vocabulary)
    var worst = -Double.infinity
    var told: [String] = []
    for version in versions {
      let (changes, steps) = try await withThrowingTaskGroup(of: Void.self) { group in
        for stream in 0..<Self.streams { group.addTask { _ = try await streams.answer(stream, 1900) } }
        try await Task.sleep(for: .milliseconds(shape.hidden < 1000 ? 30 : 400))
        let first = executor.count
        let one = try await live.activate(version, inFlight: .switchKeepingCache)
        try await Task.sleep(for: .milliseconds(shape.hidden < 1000 ? 20 : 200))
        let two = try await live.undo(.switchKeepingCache)
        try await Task.sleep(for: .milliseconds(20))
        let last = executor.count
        try await group.waitForAll()
        return ([one, two], first..<last)
      }
      let usual = executor.gaps(steps).sorted()
      guard let median = usual.isEmpty ? nil : usual[usual.count / 2] else { throw Failure("streams ended before weights were changed") }
      for change in changes {
        let gap = executor.gaps(change.firstStep..<change.firstStep + 2).max() ?? .infinity
        worst = max(worst, gap - median)
        told.append("\(rounded(gap)) (pause \(milliseconds(change.pause)))")
      }
      told.append("usually \(rounded(median))")
    }
    report.check(worst <= 1, "\(name): steps at changes of weights under \(Self.streams) streams take, in ms, " + told.joined(separator: ", "))
  }

  private func refusal(_ live: LiveWeights, _ other: FilePath) async throws {
    // Beside versions, whose memory would suffice if they were deleted.
    let held = try HeldDeviceMemory(leaving: 200 << 20)
    let start = ContinuousClock.now
    do {
      _ = try await live.prepare(LiveSource(path: other.string))
      report.check(false, "\(name): weights that do not fit are refused")
    } catch let error as LiveWeightsError {
      var isRight = false
      if case .outOfDeviceMemory = error { isRight = true }
      report.check(isRight, "\(name): weights that do not fit are refused within \(milliseconds(.now - start)) ms: \(error)")
    }
    withExtendedLifetime(held) {}
  }

  private func milliseconds(_ time: Duration) -> String { rounded(time / .milliseconds(1)) }
  private func rounded(_ value: Double) -> String { "\((value * 1000).rounded() / 1000)" }
}
