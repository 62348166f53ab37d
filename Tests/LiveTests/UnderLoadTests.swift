import EngineFixtures
import Engines
import Inference
import Synchronization
import TestSupport
import Testing

/// Answers while weights change all the time, with every policy.
@Suite(.timeLimit(.minutes(5))) struct UnderLoadTests {
  /// What changed when, as the one who changed it was told.
  private struct History {
    var changes: [MixedReference.Change] = []
    var counts: [InFlightRequests: Int] = [:]
  }
  static let policies: [InFlightRequests] = [.finish, .switchKeepingCache, .switchRecomputing, .abort]

  @Test(arguments: [(SmallModel(tensorParallel: 2), 47), (SmallModel.all[2], 48)] as [(SmallModel, UInt64)])
  func `every token is what the version that it names makes of the cache that the changes left`(_ model: SmallModel, seed: UInt64) async throws {
    let scene = try await LiveWeightsTests.Scene(model)
    let weights = scene.weights
    for source in [scene.b, scene.adapter] { _ = try await weights.prepare(LiveSource(path: source.string)) }
    let all = [scene.names.a, scene.names.b, scene.names.lora]
    // Short prompts, and some that are read in several steps beside answers.
    let prompts = (0..<6).map { scene.prompt(UInt64($0) + 50, count: $0 % 2 == 0 ? 20 : 70) }
    let ended = Flag()
    let changer = Task {
      var random = SeededGenerator(seed: seed)
      var history = History()
      while !ended.isSet {
        let policy = Self.policies[Int.random(in: 0..<4, using: &random)]
        let change: LiveWeights.Change?
        if Bool.random(using: &random) {
          change = try await weights.activate(all[Int.random(in: 0..<3, using: &random)], inFlight: policy)
        } else {
          do { change = try await weights.undo(policy) } catch LiveWeightsError.nothingToUndo { change = nil }
        }
        if let change, change.from != change.to {
          history.changes.append(.init(firstStep: change.firstStep, recomputes: policy == .switchRecomputing))
          history.counts[policy, default: 0] += 1
        }
        try await Task.sleep(for: .microseconds(Int.random(in: 0...3000, using: &random)))
      }
      return history
    }
    var answers: [(prompt: [Int32], answer: Running.Answer)] = []
    var aborted = 0
    var rounds = 0
    // Until every kind has come, however fast this machine is.
    while rounds < 20 || (rounds < 100 && (aborted == 0 || !answers.contains { Set($0.answer.versions).count > 1 })) {
      rounds += 1
      let tasks = try prompts.map { ($0, try scene.running.start($0, tokens: 30)) }
      for (prompt, task) in tasks {
        do { answers.append((prompt, try await task.value)) } catch is WeightsReplaced { aborted += 1 }
      }
    }
    ended.set()
    let history = try await changer.value
    let reference = try await MixedReference(
      scene.life.directory("engine"),
      [scene.names.a: nil, scene.names.b: LiveSource(path: scene.b.string), scene.names.lora: LiveSource(path: scene.adapter.string)])
    var mixed = 0
    for (prompt, answer) in answers {
      try #require(answer.ids.count == 30)
      if Set(answer.versions).count > 1 { mixed += 1 }
      let wanted = try reference.answer(prompt, like: answer, history.changes)
      #expect(answer.ids == wanted, "\(answer.versions) at \(answer.steps)")
    }
    let summary: Comment = "\(answers.count) answers, \(mixed) of several versions, \(aborted) aborted, changes \(history.counts)"
    #expect(mixed > 0 && aborted > 0 && answers.count > mixed, summary)
    #expect(history.counts.count == Self.policies.count, summary)
    await scene.running.loop.stop(drain: true)
  }
}

final class Flag: Sendable {
  private let value = Atomic(false)
  var isSet: Bool { value.load(ordering: .sequentiallyConsistent) }
  func set() { value.store(true, ordering: .sequentiallyConsistent) }
}
