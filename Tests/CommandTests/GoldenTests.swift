import SystemPackage
import TestSupport
import Testing

/// The same text as an independent implementation gives: convert, build, refit with a LoRA adapter, run.
@Suite(.serialized) struct GoldenTests {
  /// (tensor parallel, pipeline parallel)
  static let tinyMappings = [(1, 1), (2, 1), (1, 2), (4, 1), (2, 2)]
  static let realMappings = [(1, 1), (3, 1), (1, 2)]

  @Test(arguments: ["float32", "bfloat16"], tinyMappings)
  func `the tiny model answers as transformers does`(_ dtype: String, _ mapping: (Int, Int)) throws {
    let engines = Engines()
    let golden = try Golden(Project.at("Models/tiny/expected.json"), positions: 280)
    let (base, adapted) = try engines.make(
      Project.at("Models/tiny"), adapter: Project.at("Models/tiny-lora"), dtype: dtype, tensor: mapping.0, pipeline: mapping.1)
    try golden.check("base_\(dtype)", base, "tp \(mapping.0) pp \(mapping.1)")
    try golden.check("lora_\(dtype)", adapted, "tp \(mapping.0) pp \(mapping.1)")
  }

  @Test(.enabled(if: Extras.model != nil, Extras.noModel), arguments: ["float32", "bfloat16"], realMappings)
  func `SmolLM2 answers as transformers does`(_ dtype: String, _ mapping: (Int, Int)) throws {
    let model = try #require(Extras.model)
    let engines = Engines()
    let golden = try Golden(Project.at("Tests/Golden/smollm2-135m-instruct.json"), positions: 300)
    let (base, adapted) = try engines.make(
      model, adapter: Project.at("Models/salty-lora"), dtype: dtype, tensor: mapping.0, pipeline: mapping.1)
    try golden.check("base_\(dtype)", base, "tp \(mapping.0) pp \(mapping.1)")
    try golden.check("lora_\(dtype)", adapted, "tp \(mapping.0) pp \(mapping.1)")
  }

  /// The last prompt is longer than the window.
  @Test(.enabled(if: Extras.gemma != nil, Extras.noGemma), arguments: [("float32", 1, 1), ("bfloat16", 1, 1), ("float32", 2, 1), ("float32", 1, 2)])
  func `Gemma 3 270M answers as transformers does`(_ dtype: String, _ tensor: Int, _ pipeline: Int) throws {
    let model = try #require(Extras.gemma)
    let golden = try Golden(Project.at("Tests/Golden/gemma-3-270m.json"), count: 6, positions: 1300, margin: 0.02, tolerance: 5e-3)
    let engines = Engines()
    let base = try engines.make(model, dtype: dtype, tensor: tensor, pipeline: pipeline)
    try golden.check("base_\(dtype)", base, "tp \(tensor) pp \(pipeline)")
    withExtendedLifetime(engines) {}
  }

  /// What ships must not begin with a warning.
  @Test func `the tiny model gives no cause to say anything`() throws {
    let d = TemporaryDirectory(inMemory: true)
    let built = try Command.build.succeed("--model_dir", Project.at("Models/tiny").string, "--output_dir", d("e").string, "--strict")
    #expect(built.errors.split(separator: "\n").count == 1, "\(built.errors)")
  }
}
