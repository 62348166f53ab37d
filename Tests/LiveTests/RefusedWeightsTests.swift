import EngineFixtures
import Engines
import Foundation
import Inference
import SystemPackage
import TestSupport
import Testing

/// New weights that a running engine does not take, and why.
@Suite(.timeLimit(.minutes(5))) struct RefusedWeightsTests {
  @Test func `weights with values that are no numbers are refused, and named`() async throws {
    let scene = try await LiveWeightsTests.Scene(SmallModel())
    let broken = try SmallAdapter.write(scene.model, scene.life.directory, "broken", seed: 44, alpha: "1e300")
    let error = try await #require(throws: LiveWeightsError.self) {
      try await scene.weights.prepare(LiveSource(path: broken.string))
    }
    guard case .nonFinite(let lines) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(lines.count == 2 * scene.model.layers)
    #expect(lines.allSatisfy { $0.contains("rank 0: transformer.layers.") && $0.contains("NaN or infinite") })
    #expect(error.description.contains(lines[0]) && error.description.contains("lora_alpha"))
    let overview = await scene.weights.overview()
    #expect(overview.versions.map(\.name) == [scene.names.a] && overview.byteCount == 0)
    try await scene.expectAnswers(of: scene.names.a, "the weights in use are as they were")
    let many = LiveWeightsError.nonFinite((1...30).map { "rank 0: weight \($0): 1 value(s)" }).description
    #expect(many.contains("weight 20:") && !many.contains("weight 21:") && many.contains("10 more"))
  }

  @Test func `fields that a whole model has no use for are refused`() async throws {
    let scene = try await LiveWeightsTests.Scene(SmallModel())
    let (b, adapter) = (scene.b.string, scene.adapter.string)
    await #expect(throws: LiveWeightsError.withoutEffect(field: "lora_scale")) {
      try await scene.weights.prepare(LiveSource(path: b, loraScale: 2))
    }
    await #expect(throws: LiveWeightsError.withoutEffect(field: "base")) {
      try await scene.weights.prepare(LiveSource(path: b, basePath: b))
    }
    #expect(await scene.weights.overview().versions.count == 1)
    // With an adapter on top there is something to scale.
    _ = try await scene.weights.prepare(LiveSource(path: b, adapters: [adapter], loraScale: 2))
    _ = try await scene.weights.prepare(LiveSource(path: adapter, basePath: b, loraScale: 2))
  }

  @Test func `weights that came out unchanged are not counted as made`() async throws {
    let scene = try await LiveWeightsTests.Scene(SmallModel())
    // A, but for one matrix.
    let near = try scene.model.write(scene.life.directory, "near", seed: 42) { tensors in
      let own = scene.model.tensors(rank: 0, seed: 41)
      for index in tensors.indices where !tensors[index].name.hasSuffix("layers.0.attention.dense.weight") {
        tensors[index].matrix = own[index].matrix
      }
    }
    let facts = try await scene.weights.prepare(LiveSource(path: near.string))
    let count = try EngineDirectory(scene.life.directory("engine")).ranks[0].plan.weights.count
    #expect(facts.made == 1 && facts.unchanged == count - 1 && facts.kept == 0)
  }

  @Test func `where memory runs out, the way out fits what is there`() {
    let nothing = LiveWeightsError.outOfMemory(wanted: 300, available: 200, deletable: []).description
    #expect(nothing.contains("need 300 bytes") && nothing.contains("has 200 to spare") && !nothing.contains("Delete"))
    let some = LiveWeightsError.outOfMemory(wanted: 300, available: nil, deletable: ["fp_1", "fp_2"]).description
    #expect(some.contains("Delete") && some.contains("fp_1, fp_2"))
  }

  @Test func `a directory that was replaced or removed is told as such, and the old one may come back`() async throws {
    let scene = try await LiveWeightsTests.Scene(SmallModel())
    let (engine, aside) = (scene.life.directory("engine"), scene.life.directory("aside"))
    let watch = EngineWatch(try EngineDirectory(engine))
    let replaced = LiveWeightsError.engineReplaced(engine.string)
    try FileManager.default.moveItem(atPath: engine.string, toPath: aside.string)
    await #expect(throws: replaced) { try await scene.weights.prepare(LiveSource(path: scene.b.string)) }
    try FileManager.default.copyItem(atPath: scene.life.directory("engine-B").string, toPath: engine.string)
    await #expect(throws: replaced) { try await scene.weights.prepare(LiveSource(path: scene.b.string)) }
    #expect(replaced.description.contains("Restart the server") && replaced.description.contains("put the old one back"))
    #expect(watch.change == nil, "the open files are as they were")
    try await scene.expectAnswers(of: scene.names.a, "served all the while")
    remove(engine)
    try FileManager.default.moveItem(atPath: aside.string, toPath: engine.string)
    #expect(try await scene.weights.prepare(LiveSource(path: scene.b.string)).name == scene.names.b)
    #expect(watch.change == nil)
  }

  @Test func `an engine's file that is written to in place is seen`() async throws {
    let life = Lifecycle()
    try await life.build(try SmallModel().write(life.directory, "A", seed: 41), "engine")
    let path = life.directory("engine")
    let file = path.appending("rank0.engine")
    let bytes = try #require(contents(file))
    let watch = EngineWatch(try EngineDirectory(path))
    #expect(watch.change == nil)
    _ = try #require(contents(file))
    #expect(watch.change == nil, "reading is fine")
    let handle = try FileHandle(forUpdating: URL(filePath: file.string))
    defer { try? handle.close() }
    try handle.seek(toOffset: UInt64(bytes.count - 1))
    try handle.write(contentsOf: Data([bytes[bytes.count - 1] ^ 1]))
    #expect(watch.change?.contains("was written to") == true)
    try handle.truncate(atOffset: UInt64(bytes.count - 1))
    #expect(watch.change?.contains("has \(bytes.count - 1) bytes instead of \(bytes.count)") == true)
  }
}
