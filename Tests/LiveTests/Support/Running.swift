import CPUBackend
import Execution
import CPUKernels
import Engines
import Inference
import SystemPackage
import TestSupport
import Synchronization
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

func openEngine(_ path: FilePath, threads: Int = 2) throws -> CPUEngine {
  var options = ExecutorOptions()
  options.threadCount = threads
  options.maximumSequences = 8
  return try CPUEngine(try EngineDirectory(path), options: options, instructionSet: .best)
}

/// An engine that runs, and its weights.
struct Running {
  let engine: CPUEngine
  let loop: EngineLoop
  let weights: LiveWeights
  let hold: Hold

  init(_ path: FilePath) async throws {
    engine = try openEngine(path)
    hold = Hold()
    loop = try EngineLoop(executor: HeldExecutor(engine, hold))
    weights = try LiveWeights(engine: engine, loop: loop, refitter: try await LiveRefitter(try EngineDirectory(path)), workers: 2)
  }

  struct Answer: Equatable {
    var ids: [Int32] = []
    /// What chose each.
    var versions: [String] = []
    /// The engine step that chose each.
    var steps: [UInt64] = []
    var cachedPromptTokens = 0
  }
  static func request(_ prompt: [Int32], _ tokens: Int) -> GenerationRequest {
    var request = GenerationRequest(promptIDs: prompt, sampling: .init())
    request.sampling.temperature = 0
    request.sampling.ignoreEndOfSequence = true
    request.sampling.maximumTokens = tokens
    return request
  }

  /// Starts an answer.
  func start(_ prompt: [Int32], tokens: Int = 24) throws -> Task<Answer, any Error> {
    let stream = try loop.submit(Self.request(prompt, tokens))
    return Task {
      var answer = Answer()
      for try await event in stream {
        switch event {
        case .promptScored, .weightsChanged: break
        case .token(let token):
          answer.ids.append(token.id)
          answer.steps.append(token.step)
          answer.versions.append(weights.log.version(ofStep: token.step))
        case .finished(_, let usage): answer.cachedPromptTokens = usage.cachedPromptTokens
        }
      }
      return answer
    }
  }
  func answer(_ prompt: [Int32], tokens: Int = 24) async throws -> Answer { try await start(prompt, tokens: tokens).value }
}

/// Stops the loop before some of its steps, so that a test can act at a known moment.
final class Hold: Sendable {
  private struct State {
    var steps = 0
    var points: [Int] = []
    var held = 0
    var released = 0
  }
  private let state = Mutex(State())

  /// Lets so many more steps end, then holds the next, for each.
  func after(steps: [Int]) { state.withLock { state in state.points = steps.map { state.steps + $0 + 1 } } }
  /// Returns when the loop is held for the first, second, … time.
  func reached(_ index: Int = 0) async throws {
    while !state.withLock({ $0.held == $0.points[index] }) { try await Task.sleep(for: .milliseconds(1)) }
  }
  func release() { state.withLock { $0.released = $0.held } }

  fileprivate func step() {
    let step = state.withLock { state -> Int? in
      state.steps += 1
      guard state.points.contains(state.steps) else { return nil }
      state.held = state.steps
      return state.steps
    }
    guard let step else { return }
    while state.withLock({ $0.released < step }) { usleep(500) }
  }
}

final class HeldExecutor: Executor {
  private let engine: CPUEngine
  private let hold: Hold
  init(_ engine: CPUEngine, _ hold: Hold) {
    self.engine = engine
    self.hold = hold
  }
  var limits: ExecutorLimits { engine.limits }
  func submit(_ batch: Batch) throws -> StepID {
    hold.step()
    return try engine.submit(batch)
  }
  func finish(_ step: StepID, _ answer: (_ sequence: Int, _ answer: RowAnswer) -> Void) throws { try engine.finish(step, answer) }
}

/// Greedy answers computed step by step, without loop and live weights: engines that were refitted into files.
struct Reference {
  private let engines: [String: CPUEngine]
  init(_ engines: [String: FilePath]) throws { self.engines = try engines.mapValues { try openEngine($0) } }

  func answer(_ prompt: [Int32], by version: String, tokens: Int = 24) throws -> [Int32] {
    let engine = try #require(engines[version])
    var answer = [try step(engine, prompt, at: 0, .prefill)]
    while answer.count < tokens { answer.append(try step(engine, [answer.last ?? 0], at: prompt.count + answer.count - 1, .decode)) }
    return answer
  }

  /// What `version` says after `answer`, had it computed all of it.
  func next(_ prompt: [Int32], _ answer: [Int32], by version: String) throws -> Int32 {
    let engine = try #require(engines[version])
    var next = try step(engine, prompt, at: 0, .prefill)
    for (index, token) in answer.enumerated() { next = try step(engine, [token], at: prompt.count + index, .decode) }
    return next
  }

  private func step(_ engine: CPUEngine, _ tokens: [Int32], at first: Int, _ phase: SequenceSlice.Phase) throws -> Int32 {
    try Self.step(engine, tokens, at: first, phase)
  }
  static func step(_ engine: CPUEngine, _ tokens: [Int32], at first: Int, _ phase: SequenceSlice.Phase) throws -> Int32 {
    var chosen: Int32 = -1
    let blocks = (0..<Int32((first + tokens.count + 15) / 16)).map { $0 }
    let slice = SequenceSlice(
      rows: 0..<tokens.count, firstPosition: first, blockTable: blocks, phase: phase, wantsLogits: true)
    unsafe try engine.step(Batch(tokens: tokens, sequences: [slice])) { _, logits in
      let best = unsafe logits.max() ?? 0
      chosen = Int32(unsafe logits.firstIndex(of: best) ?? 0)
    }
    return chosen
  }
}
