import Checkpoints
import EngineFixtures
import Engines
import JSON
import SystemPackage
import TestSupport
import Testing
import WeightSources

/// A model in its author's format with faults of its tensors and of its configuration: a refit tells both at once.
struct FaultyModelTests {
  let life = Lifecycle.unmeasured()

  private func problems(_ tiny: TinySource, _ changes: JSONObject) async throws -> [RefitProblem] {
    let good = TinySource()
    good.write(good.config, to: life.directory("A"), in: life.directory)
    try await life.build(life.directory("A"), "engine")
    var config = tiny.config
    for (key, value) in changes { config[key] = value }
    tiny.write(config, to: life.directory("B"), in: life.directory)
    let before = snapshot(life.directory.path)
    do {
      try await life.refit("engine", with: life.directory("B"), to: "out")
      Issue.record("the refit should have been refused")
      return []
    } catch let error as RefitError {
      #expect(snapshot(life.directory.path) == before, "nothing was written")
      return error.problems
    }
  }
  private func names(_ problems: [RefitProblem]) -> Set<String> {
    Set(
      problems.map { problem in
        switch problem {
        case .configuration(let field, _, _): field
        case .source(_, let detail, _, _): detail
        default: problem.detail
        }
      })
  }

  @Test func `tensors that are missing and a configuration of another plan are told together`() async throws {
    let found = names(
      try await problems(
        TinySource(without: ["layers.1.mlp.up_proj.weight"]), ["rope_theta": .double(5000), "rms_norm_eps": .double(1e-6), "eos_token_id": 99]))
    #expect(found.contains("rotary_base") && found.contains("norm_epsilon"), "\(found)")
    #expect(found.contains { $0.contains("model.layers.1.mlp.up_proj.weight") }, "\(found)")
  }

  @Test func `so is a tokenizer that does not fit`() async throws {
    life.directory.write("B/generation_config.json", #"{"eos_token_id": 99}"#)
    let found = try await problems(TinySource(without: ["layers.0.mlp.down_proj.weight"]), [:])
    #expect(found.contains { if case .tokenizer(let text) = $0 { text.contains("99") } else { false } }, "\(found)")
    #expect(found.contains { $0.detail.contains("down_proj") })
  }

  @Test func `tensors of other shapes than the model's own configuration are told with that of the engine`() async throws {
    var wide = TinySource()
    wide.intermediate = 40
    let found = names(try await problems(wide, ["intermediate_size": 48]))
    #expect(found.contains("intermediate_size") && found.contains { $0.contains("mlp.up_proj.weight") }, "\(found)")
  }

  @Test func `a model that cannot be shared out over the engine's ranks is told with what differs`() async throws {
    let good = TinySource()
    good.write(good.config, to: life.directory("A"), in: life.directory)
    try CheckpointConverter(ModelSource(life.directory("A")), mapping: Mapping(tensorParallel: 2), elementType: .float32).write(to: life.directory("checkpoint"))
    try await life.build(life.directory("checkpoint"), "engine")
    var odd = TinySource()
    (odd.heads, odd.keyValueHeads) = (3, 3)
    odd.write(odd.config, to: life.directory("B"), in: life.directory)
    let error = await #expect(throws: RefitError.self) { try await life.refit("engine", with: life.directory("B"), to: "out") }
    let problems = try #require(error).problems
    #expect(problems.contains { $0.heading == "The model cannot be shared out over the engine's ranks" }, "\(problems)")
    #expect(names(problems).contains("num_attention_heads"), "\(problems)")
  }
}
