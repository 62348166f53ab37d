import EngineFixtures
import Engines
import Inference
import SystemPackage
import TestSupport
import Testing

/// Adapters in GGUF on a running engine.
@Suite(.timeLimit(.minutes(5))) struct LiveGGUFAdapterTests {
  @Test func `a running engine takes one as it takes the PEFT directory that it was made of`() async throws {
    let project = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
    let file = project.appending("Tests/WeightSourcesTests/Expected/adapters/gguf/tiny-lora.f32.gguf").string
    let life = Lifecycle()
    try await life.build(project.appending("Models/tiny"), "engine", scope: .all)
    let running = try await Running(life.directory("engine"))
    let peft = try await running.weights.prepare(LiveSource(path: project.appending("Models/tiny-lora").string, loraScale: 0.5))
    let gguf = try await running.weights.prepare(LiveSource(path: file, loraScale: 0.5))
    #expect(gguf.name == peft.name && gguf.digests == peft.digests && gguf.warnings == peft.warnings)
    let base = try await running.weights.prepare(LiveSource(path: project.appending("Models/tiny").string))
    #expect(try await running.weights.prepare(LiveSource(path: file, baseVersion: base.name, loraScale: 0.5)).name == peft.name)
    await #expect(throws: LiveWeightsError.self) { try await running.weights.prepare(LiveSource(path: file, baseVersion: peft.name)) }
    await running.loop.stop(drain: true)
  }
}
