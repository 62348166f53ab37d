import EngineFixtures
import Engines
import Inference
import SystemPackage
import TestSupport
import Testing

/// Adapters over a version that is named, whatever version is active.
@Suite(.timeLimit(.minutes(5))) struct LiveAdapterBaseTests {
  @Test(arguments: SmallModel.all.filter { $0.parallelEmbedding == nil })
  func `an adapter over a named version is that version's engine refitted with it`(_ model: SmallModel) async throws {
    let scene = try await LiveWeightsTests.Scene(model)
    let weights = scene.weights
    try await scene.life.refit("engine-B", with: scene.adapter, to: "engine-B-lora")
    let files = scene.life.directory("engine-B-lora")
    let wanted = try #require(try Lineage(directory: files))
    let b = try await weights.prepare(LiveSource(path: scene.b.string))
    let both = try await weights.prepare(LiveSource(path: scene.adapter.string, baseVersion: b.name))
    #expect(both.name == LiveWeights.name(of: wanted.ranks) && both.digests == wanted.ranks)
    #expect(both.lineage?.parent == b.digests.map(\.root))
    #expect(both.name != scene.names.lora, "over the engine file's weights it is another version")
    #expect(try await weights.prepare(LiveSource(path: scene.adapter.string)).name == scene.names.lora)
    // What the adapter does not touch is B's own memory.
    let overview = await weights.overview()
    let lora = try #require(overview.versions.first { $0.name == scene.names.lora })
    #expect(overview.byteCount == b.byteCount + 2 * lora.byteCount)
    // Its base may go.
    try await weights.activate(both.name)
    try await weights.delete(b.name)
    let reference = try Reference([both.name: files])
    for seed in 1...3 as ClosedRange<UInt64> {
      let found = try await scene.running.answer(scene.prompt(seed))
      #expect(found.ids == (try reference.answer(scene.prompt(seed), by: both.name)))
    }
    await scene.running.loop.stop(drain: true)
  }

  @Test func `weights that come out as the file's are the file's, whatever the base has`() async throws {
    let scene = try await LiveWeightsTests.Scene(SmallModel())
    // Of B but for those weights that the adapter touches, which are A's.
    let mixed = try scene.model.write(scene.life.directory, "mixed", seed: 42) { tensors in
      let own = scene.model.tensors(rank: 0, seed: 41)
      for index in tensors.indices where tensors[index].name.contains("dense") || tensors[index].name.contains("mlp.proj") {
        tensors[index].matrix = own[index].matrix
      }
    }
    let b = try await scene.weights.prepare(LiveSource(path: scene.b.string))
    let base = try await scene.weights.prepare(LiveSource(path: mixed.string))
    let changed = try await scene.weights.prepare(LiveSource(path: scene.adapter.string, baseVersion: base.name))
    let none = try await scene.weights.prepare(LiveSource(path: scene.adapter.string, baseVersion: base.name, loraScale: 0))
    #expect(none.name == base.name, "an adapter of no strength changes nothing")
    let lora = try await scene.weights.prepare(LiveSource(path: scene.adapter.string))
    for (name, digest) in lora.digests[0].weights where name.contains("dense") || name.contains("mlp.proj") {
      #expect(changed.digests[0].weights[name] == digest)
    }
    #expect(b.byteCount > base.byteCount)
  }

  @Test func `adapters are not stacked unasked, and a base that cannot be is told`() async throws {
    let scene = try await LiveWeightsTests.Scene(SmallModel())
    let (weights, adapter) = (scene.weights, scene.adapter.string)
    let lora = try await weights.prepare(LiveSource(path: adapter)).name
    await #expect(throws: LiveWeightsError.carriesAdapter(lora, adapters: [adapter], bases: [scene.names.a])) {
      try await weights.prepare(LiveSource(path: adapter, baseVersion: lora))
    }
    // An engine's files tell what they carry.
    let scaled = scene.life.directory("engine-lora")
    _ = try await weights.prepare(LiveSource(path: scene.b.string))
    try await weights.delete(lora)
    let fromFiles = try await weights.prepare(LiveSource(path: scaled.string)).name
    await #expect(throws: LiveWeightsError.carriesAdapter(fromFiles, adapters: [adapter], bases: [scene.names.a, scene.names.b])) {
      try await weights.prepare(LiveSource(path: adapter, baseVersion: fromFiles))
    }
    await #expect(throws: LiveWeightsError.needsNoBaseVersion(scene.names.b)) {
      try await weights.prepare(LiveSource(path: scene.b.string, baseVersion: scene.names.b))
    }
    await #expect(throws: LiveWeightsError.needsNoBaseVersion(scene.names.b)) {
      try await weights.prepare(LiveSource(path: adapter, basePath: scene.b.string, baseVersion: scene.names.b))
    }
    await #expect(throws: LiveWeightsError.unknownVersion("fp_0", known: [scene.names.a, scene.names.b, fromFiles])) {
      try await weights.prepare(LiveSource(path: adapter, baseVersion: "fp_0"))
    }
    #expect(await weights.overview().active == scene.names.a)
    let message = LiveWeightsError.carriesAdapter("fp_1", adapters: ["x"], bases: ["fp_0"]).description
    #expect(message.contains("Name one of fp_0 as base_version") && message.contains("adapters"))
    // An engine that was refitted with an adapter before it was opened.
    let adapted = try await Running(scaled)
    await #expect(throws: LiveWeightsError.carriesAdapter(lora, adapters: [adapter], bases: [])) {
      try await adapted.weights.prepare(LiveSource(path: adapter))
    }
    // All of one base in one request is asked for.
    let twice = try await weights.prepare(LiveSource(path: adapter, adapters: [adapter]))
    #expect(twice.name != fromFiles)
  }
}
