import CPUBackend
import EngineFixtures
import Execution
import Engines
import Inference
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Weights that change while an engine runs, against engines that were refitted into files.
@Suite(.timeLimit(.minutes(5))) struct LiveWeightsTests {
  /// An engine of A, and what refits of it into files give.
  struct Scene {
    let life = Lifecycle()
    let model: SmallModel
    let b: FilePath
    let adapter: FilePath
    let names: (a: String, b: String, lora: String)
    let reference: Reference
    let running: Running

    init(_ model: SmallModel) async throws {
      self.model = model
      let a = try model.write(life.directory, "A", seed: 41)
      b = try model.write(life.directory, "B", seed: 42)
      adapter = try SmallAdapter.write(model, life.directory, "lora", seed: 43)
      try await life.build(a, "engine", scope: .all)
      try await life.refit("engine", with: b, to: "engine-B")
      try await life.refit("engine", with: adapter, to: "engine-lora")
      let life = life
      func name(_ directory: String) throws -> String {
        LiveWeights.name(of: try #require(try Lineage(directory: life.directory(directory))).ranks)
      }
      names = (try name("engine"), try name("engine-B"), try name("engine-lora"))
      reference = try Reference([
        names.a: life.directory("engine"), names.b: life.directory("engine-B"), names.lora: life.directory("engine-lora"),
      ])
      running = try await Running(life.directory("engine"))
    }
    var weights: LiveWeights { running.weights }

    func prompt(_ seed: UInt64, count: Int = 20) -> [Int32] {
      var random = SeededGenerator(seed: seed)
      return (0..<count).map { _ in Int32.random(in: 0..<Int32(model.vocabulary), using: &random) }
    }
    /// Starts an answer and holds the loop before one of its steps.
    func held(_ prompt: [Int32], tokens: Int, after steps: Int...) async throws -> Task<Running.Answer, any Error> {
      running.hold.after(steps: steps)
      let stream = try running.start(prompt, tokens: tokens)
      try await running.hold.reached()
      return stream
    }
    /// Asks for a change; it waits between steps when this returns.
    func ask(
      _ change: @Sendable @escaping (LiveWeights) async throws -> LiveWeights.Change
    ) async throws -> Task<LiveWeights.Change, any Error> {
      let task = Task { [weights] in try await change(weights) }
      while running.loop.statistics.pendingActions == 0 { try await Task.sleep(for: .milliseconds(1)) }
      return task
    }
    /// Every prompt is answered as the refitted engine of that version answers it.
    func expectAnswers(of version: String, _ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation) async throws {
      for seed in 1...3 as ClosedRange<UInt64> {
        let found = try await running.answer(prompt(seed))
        let wanted = try reference.answer(prompt(seed), by: version)
        #expect(found.ids == wanted, comment, sourceLocation: sourceLocation)
        #expect(found.versions.allSatisfy { $0 == version }, comment, sourceLocation: sourceLocation)
      }
    }
  }

  @Test(arguments: SmallModel.all.filter { $0.parallelEmbedding == nil })
  func `each version answers as the engine refitted into files, and bears its digests`(_ model: SmallModel) async throws {
    let scene = try await Scene(model)
    let weights = scene.weights
    #expect(Set([scene.names.a, scene.names.b, scene.names.lora]).count == 3)
    try await scene.expectAnswers(of: scene.names.a, "as opened")
    let b = try await weights.prepare(LiveSource(path: scene.b.string))
    #expect(b.name == scene.names.b && !b.isActive)
    let refitted = try #require(try Lineage(directory: scene.life.directory("engine-B")))
    #expect(b.digests == refitted.ranks)
    try await scene.expectAnswers(of: scene.names.a, "prepared is not active")
    try await weights.activate(b.name)
    try await scene.expectAnswers(of: scene.names.b, "after a whole checkpoint")
    let lora = try await weights.prepare(LiveSource(path: scene.adapter.string))
    #expect(lora.name == scene.names.lora)
    try await weights.activate(lora.name)
    try await scene.expectAnswers(of: scene.names.lora, "after a LoRA over the engine's own weights")
    try await weights.undo()
    try await scene.expectAnswers(of: scene.names.b, "after one undo")
    try await weights.undo()
    try await scene.expectAnswers(of: scene.names.a, "after two undos")
    await #expect(throws: LiveWeightsError.nothingToUndo) { try await weights.undo() }
    await scene.running.loop.stop(drain: true)
  }

  @Test func `of a version that was deleted nothing is undone`() async throws {
    let scene = try await Scene(SmallModel(tied: false))
    let weights = scene.weights
    let b = try await weights.prepare(LiveSource(path: scene.b.string))
    try await weights.activate(b.name)
    try await weights.activate(scene.names.a)
    try await weights.delete(b.name)
    // There and back, and what was between is gone: no change is left.
    #expect(await weights.overview().previous == nil)
    await #expect(throws: LiveWeightsError.nothingToUndo) { try await weights.undo() }
    await scene.running.loop.stop(drain: true)
  }

  @Test func `an adapter costs the weights that it touches, equal weights cost nothing, and deleting gives all back`() async throws {
    let scene = try await Scene(SmallModel(tied: false))
    let weights = scene.weights
    let lora = try await weights.prepare(LiveSource(path: scene.adapter.string))
    let plan = try EngineDirectory(scene.life.directory("engine")).ranks[0].plan
    let touched = plan.weights.filter { $0.key.contains("dense") || $0.key.contains("proj") }
    #expect(lora.made == touched.count && lora.byteCount == touched.values.reduce(0) { $0 + $1.stored.byteCount })
    #expect(lora.kept == plan.weights.count - touched.count)
    // The same again is the same version.
    #expect(try await weights.prepare(LiveSource(path: scene.adapter.string)).name == lora.name)
    #expect(await weights.overview().byteCount == lora.byteCount)
    // The engine's own checkpoint: made, found equal, not kept.
    let same = try await weights.prepare(LiveSource(path: scene.life.directory("A").string))
    #expect(same.name == scene.names.a && same.isEngineFile)
    // An engine refitted with the adapter holds the same bytes: other version names cannot arise, memory is shared.
    let again = try await weights.prepare(LiveSource(path: scene.life.directory("engine-lora").string))
    #expect(again.name == lora.name)
    let b = try await weights.prepare(LiveSource(path: scene.b.string))
    #expect(await weights.overview().byteCount == lora.byteCount + b.byteCount)
    // A version that shares some of B's weights.
    let mixed = try scene.model.write(scene.life.directory, "mixed", seed: 42) { tensors in
      for index in tensors.indices where tensors[index].name == "transformer.ln_f.weight" { tensors[index].matrix.values[0] += 1 }
    }
    let c = try await weights.prepare(LiveSource(path: mixed.string))
    let norm = try #require(plan.weights["transformer.ln_f.weight"]).stored.byteCount
    #expect(c.byteCount == b.byteCount)
    #expect(await weights.overview().byteCount == lora.byteCount + b.byteCount + norm)
    try await weights.activate(b.name)
    await #expect(throws: LiveWeightsError.self) { try await weights.delete(b.name) }
    await #expect(throws: LiveWeightsError.self) { try await weights.delete(scene.names.a) }
    try await weights.undo()
    for name in [b.name, c.name, lora.name] { try await weights.delete(name) }
    let overview = await weights.overview()
    #expect(overview.byteCount == 0 && overview.versions.map(\.name) == [scene.names.a])
    await #expect(throws: LiveWeightsError.unknownVersion(b.name, known: [scene.names.a])) { try await weights.activate(b.name) }
    try await scene.expectAnswers(of: scene.names.a, "after everything was dropped")
  }

  @Test func `memory of a dropped version is given back`() async throws {
    let scene = try await Scene(SmallModel())
    let refitter = try await LiveRefitter(try EngineDirectory(scene.life.directory("engine")))
    var made: MadeWeights? = try await refitter.make(LiveSource(path: scene.b.string))
    weak let memory = made?.ranks[0].values.first
    var version: (any WeightVersion)? = scene.running.engine.makeVersion(made?.ranks ?? [])
    made = nil
    #expect(memory != nil, "the version keeps it")
    #expect(version != nil)
    version = nil
    #expect(memory == nil)
  }

  @Test func `requests under way finish with the old weights, and those that come meanwhile wait for the new`() async throws {
    let scene = try await Scene(SmallModel())
    let b = try await scene.weights.prepare(LiveSource(path: scene.b.string)).name
    let old = try await scene.held(scene.prompt(1), tokens: 90, after: 5)
    let change = try await scene.ask { try await $0.activate(b, inFlight: .finish) }
    let new = try scene.running.start(scene.prompt(2), tokens: 20)
    scene.running.hold.release()
    let answers = (try await old.value, try await new.value)
    #expect(try await change.value.to == b)
    #expect(answers.0.ids == (try scene.reference.answer(scene.prompt(1), by: scene.names.a, tokens: 90)))
    #expect(answers.0.versions.allSatisfy { $0 == scene.names.a })
    #expect(answers.1.ids == (try scene.reference.answer(scene.prompt(2), by: b, tokens: 20)))
    #expect(answers.1.versions.allSatisfy { $0 == b })
  }

  @Test(arguments: [SmallModel.all[0], SmallModel.all[2], SmallModel.all[4]], [true, false])
  func `a switched answer is the stated mix, with the cache kept or computed anew`(_ model: SmallModel, _ keeps: Bool) async throws {
    let scene = try await Scene(model)
    let b = try await scene.weights.prepare(LiveSource(path: scene.b.string)).name
    let prompt = scene.prompt(5)
    let stream = try await scene.held(prompt, tokens: 100, after: 7)
    let change = try await scene.ask { try await $0.activate(b, inFlight: keeps ? .switchKeepingCache : .switchRecomputing) }
    scene.running.hold.release()
    let answer = try await stream.value
    _ = try await change.value
    // The step that was held is the eighth choice, the last by the old weights.
    let first = 8
    try #require(answer.versions == Array(repeating: scene.names.a, count: first) + Array(repeating: b, count: 100 - first))
    #expect(Array(answer.ids[..<first]) == (try scene.reference.answer(prompt, by: scene.names.a, tokens: first)))
    if keeps {
      // The same steps on an engine of its own, with weights changed after so many.
      let engine = try openEngine(scene.life.directory("engine"))
      let refitter = try await LiveRefitter(try EngineDirectory(scene.life.directory("engine")))
      let version = engine.makeVersion(try await refitter.make(LiveSource(path: scene.b.string)).ranks)
      var wanted = [try Reference.step(engine, prompt, at: 0, .prefill)]
      while wanted.count < 100 {
        if wanted.count == first { engine.activate(version) }
        wanted.append(try Reference.step(engine, [wanted.last ?? 0], at: prompt.count + wanted.count - 1, .decode))
      }
      #expect(answer.ids == wanted)
    } else {
      for count in [first, first + 1, 99] where count < 100 {
        #expect(answer.ids[count] == (try scene.reference.next(prompt, Array(answer.ids[..<count]), by: b)))
      }
    }
  }

  @Test func `weights that chose nothing leave nothing in the cache of an answer that names other ones`() async throws {
    let scene = try await Scene(SmallModel())
    let b = try await scene.weights.prepare(LiveSource(path: scene.b.string)).name
    let stream = try await scene.held(scene.prompt(6), tokens: 60, after: 5, 6)
    let first = try await scene.ask { try await $0.activate(b, inFlight: .switchRecomputing) }
    scene.running.hold.release()
    // Now B reads the prompt again, and chooses nothing in this step.
    try await scene.running.hold.reached(1)
    _ = try await first.value
    let second = try await scene.ask { try await $0.undo(.switchKeepingCache) }
    scene.running.hold.release()
    _ = try await second.value
    let answer = try await stream.value
    #expect(answer.versions.allSatisfy { $0 == scene.names.a })
    #expect(answer.ids == (try scene.reference.answer(scene.prompt(6), by: scene.names.a, tokens: 60)))
  }

  @Test func `aborted requests end with the reason, waiting ones are answered by the new weights`() async throws {
    let scene = try await Scene(SmallModel())
    let b = try await scene.weights.prepare(LiveSource(path: scene.b.string)).name
    let old = try await scene.held(scene.prompt(1), tokens: 100, after: 4)
    let change = try await scene.ask { try await $0.activate(b, inFlight: .abort) }
    let waiting = try scene.running.start(scene.prompt(2))
    scene.running.hold.release()
    _ = try await change.value
    #expect(try await waiting.value.ids == (try scene.reference.answer(scene.prompt(2), by: b)))
    await #expect(throws: WeightsReplaced(version: b)) { try await old.value }
    try await scene.expectAnswers(of: b, "afterwards")
  }

  @Test func `what the cache held of prompts is not found by another version`() async throws {
    let scene = try await Scene(SmallModel())
    let prompt = scene.prompt(8, count: 40)
    _ = try await scene.running.answer(prompt)
    #expect(try await scene.running.answer(prompt).cachedPromptTokens == 32)
    let b = try await scene.weights.prepare(LiveSource(path: scene.b.string)).name
    #expect(try await scene.running.answer(prompt).cachedPromptTokens == 32, "making weights costs no cache")
    try await scene.weights.activate(b)
    let first = try await scene.running.answer(prompt)
    #expect(first.cachedPromptTokens == 0)
    #expect(first.ids == (try scene.reference.answer(prompt, by: b)))
  }

  @Test func `a source that does not fit, or a preparation that is ended, leaves everything as it was`() async throws {
    let scene = try await Scene(SmallModel())
    let weights = scene.weights
    var other = scene.model
    other.intermediate += 8
    let wide = try other.write(scene.life.directory, "wide", seed: 44)
    let short = try scene.model.write(scene.life.directory, "short", seed: 45) { $0.removeAll { $0.name.contains("mlp.proj") } }
    makeDirectory(scene.life.directory("empty"))
    for source in [wide, short, scene.life.directory("empty"), scene.life.directory("nothing")] {
      await #expect(throws: (any Error).self, "\(source)") { try await weights.prepare(LiveSource(path: source.string)) }
    }
    await #expect(throws: RefitError.self) { try await weights.prepare(LiveSource(path: short.string)) }
    let cut = scene.life.directory("cut")
    try scene.model.write(scene.life.directory, "cut", seed: 46)
    let whole = try Execution.run("/usr/bin/truncate", ["-s", "-100", cut.appending("rank0.safetensors").string])
    try #require(whole.status == 0)
    await #expect(throws: (any Error).self) { try await weights.prepare(LiveSource(path: cut.string)) }
    for delay in 0..<20 {
      let task = Task { try await weights.prepare(LiveSource(path: scene.b.string)) }
      try await Task.sleep(for: .microseconds(delay * 50))
      task.cancel()
      if (try? await task.value) != nil { try await weights.delete(scene.names.b) }
    }
    let overview = await weights.overview()
    #expect(overview.versions.map(\.name) == [scene.names.a] && overview.byteCount == 0 && overview.preparing == nil)
    try await scene.expectAnswers(of: scene.names.a, "after failures")
    #expect(try await weights.prepare(LiveSource(path: scene.b.string)).name == scene.names.b)
  }
}
