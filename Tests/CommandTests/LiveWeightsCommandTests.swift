import SystemPackage
import TestSupport
import Testing

/// The golden results through `trtllm-serve`, before and after a live refit with the adapter and after undo.
@Suite(.serialized, .enabled(if: Extras.python != nil, Extras.noPython)) struct LiveWeightsCommandTests {
  private func check(_ engine: FilePath, adapter: String, golden: String, _ dtype: String) throws {
    let result = try Execution.run(
      try #require(Extras.python),
      [
        Project.at("Scripts/reference/live_weights_check.py").string, try Command.serve.executable.string, engine.string,
        Project.at(adapter).string, Project.at(golden).string, "base_\(dtype)", "lora_\(dtype)",
      ])
    #expect(result.status == 0, "\(dtype): \(result.output)\(result.errors)")
  }

  @Test(arguments: [("float32", 1, 1), ("bfloat16", 1, 1), ("float32", 2, 2)])
  func `the tiny model answers as base, adapted, and base again`(dtype: String, tensor: Int, pipeline: Int) throws {
    let engines = Engines()
    let (base, _) = try engines.make(
      Project.at("Models/tiny"), adapter: Project.at("Models/tiny-lora"), dtype: dtype, tensor: tensor, pipeline: pipeline)
    try check(base, adapter: "Models/tiny-lora", golden: "Models/tiny/expected.json", dtype)
  }

  @Test(.enabled(if: Extras.model != nil, Extras.noModel))
  func `SmolLM2 answers as base, adapted, and base again`() throws {
    let engines = Engines()
    let (base, _) = try engines.make(
      try #require(Extras.model), adapter: Project.at("Models/salty-lora"), dtype: "bfloat16", tensor: 1, pipeline: 1)
    try check(base, adapter: "Models/salty-lora", golden: "Tests/Golden/smollm2-135m-instruct.json", "bfloat16")
  }
}
