import CPUBackend
import EngineFixtures
import Execution
import Engines
import JSON
import TestSupport
import Testing

/// What the processor's kernels cannot do is refused by build, and again by whoever opens a file that asks for it.
@Suite struct TargetLimitsTests {
  private func refusal(_ model: SmallModel) async throws -> String {
    let life = Lifecycle.unmeasured()
    let checkpoint = try model.write(life.directory, "A", seed: 60)
    let error = await #expect(throws: EngineError.self) { try await life.build(checkpoint, "engine") }
    #expect(names(in: life.directory("engine")) == nil)
    return error?.description ?? ""
  }

  @Test func `heads of the largest size agree with a reference`() async throws {
    let model = SmallModel(hidden: 48, heads: 2, keyValueHeads: 1, headSize: 512, layers: 1, type: .float32)
    let life = Lifecycle.unmeasured()
    try await life.build(try model.write(life.directory, "A", seed: 60), "engine")
    let engine = try CPUEngine(try EngineDirectory(life.directory("engine")))
    let tokens: [Int32] = (0..<24).map { $0 * 5 % 37 }
    let wanted = ReferenceModel(model, seed: 60).logits(tokens)
    let batch = Batch(
      tokens: tokens, sequences: [SequenceSlice(rows: 0..<24, firstPosition: 0, blockTable: [1, 0], phase: .prefill, wantsLogits: true)])
    var found: [Float] = []
    unsafe try engine.step(batch) { unsafe found = Array($1) }
    for (one, other) in zip(found, wanted[23]) { #expect(abs(Double(one) - other) < 1e-3) }
  }

  @Test func `a head that is larger than the kernels' is refused by build`() async throws {
    let text = try await refusal(SmallModel(hidden: 48, heads: 2, keyValueHeads: 1, headSize: 1024, layers: 1))
    #expect(text.contains("head_size") && text.contains("1024") && text.contains("512"), "\(text)")
  }

  @Test func `a head that is larger than the kernels' is refused in a file`() async throws {
    let life = Lifecycle.unmeasured()
    let model = SmallModel(hidden: 48, heads: 1, keyValueHeads: 1, headSize: 512, layers: 1)
    try await life.build(try model.write(life.directory, "A", seed: 61), "engine")
    var forge = try EngineForge(life.directory("engine"))
    forge.plans = forge.plans.map { $0.replacing([512: 1024, 1536: 3072]) }
    #expect(try forge.write(to: life.directory("large")))
    let directory = try EngineDirectory(life.directory("large"))
    let error = #expect(throws: EngineError.self) { try CPUEngine(directory) }
    #expect(error?.description.contains("512") == true, "\(error?.description ?? "")")
  }

  @Test(arguments: [("rotary_embedding_dim", 7), ("rotary_embedding_dim", 0), ("max_position_embeddings", 1 << 30), ("vocab_size", 1 << 30)])
  func `what could not be opened is not built`(_ member: (key: String, value: Int)) async throws {
    var model = SmallModel(layers: 1)
    model.members = [member.key: .int(member.value)]
    #expect(try await refusal(model) != "")
  }
}
