import Checkpoints
import EngineFixtures
import Engines
import JSON
import SystemPackage
import TestSupport
import Testing
import WeightSources

/// What a checkpoint's configuration says besides what is read of it: refused where what was meant cannot be told, else told.
struct CheckpointSettingsTests {
  let life = Lifecycle()

  /// - Returns: Warnings of a build, or why there is none.
  private func outcome(_ changes: JSONObject) throws -> (warnings: [SourceWarning], error: String?) {
    let (model, checkpoint) = (life.directory("m"), life.directory("c"))
    TinySource().write(TinySource().config, to: model, in: life.directory)
    remove(checkpoint)
    try CheckpointConverter(ModelSource(model), mapping: Mapping(), elementType: .float32).write(to: checkpoint)
    var config = try #require(try JSONValue(parsing: contents(life.directory("c/config.json")) ?? []).object)
    for (key, value) in changes { config[key] = value }
    life.directory.write("c/config.json", JSONValue.object(config).serialized())
    let builder = EngineBuilder(options: .init(), target: life.target)
    do { return (try builder.prepare(BuildSource(checkpoint)).warnings, nil) } catch { return ([], "\(error)") }
  }

  @Test(
    arguments: [
      (["factor": 4], "rotary_scaling"), (["type": nil, "factor": 4], "rotary_scaling"), ("linear", "rotary_scaling"), (4, "rotary_scaling"),
      (["type": 3], "rotary_scaling"), (["type": "linear"], "rotary_scaling.factor"), (["type": "linear", "factor": "4"], "rotary_scaling.factor"),
      (["type": "llama3", "factor": 8, "low_freq_factor": 0], "rotary_scaling.low_freq_factor"),
    ] as [(JSONValue, String)])
  func `a scaling that names no kind, or whose numbers are none, is refused`(scaling: JSONValue, name: String) throws {
    let error = try #require(try outcome(["rotary_scaling": scaling]).error)
    #expect(error.contains("'\(name)'"), "\(error)")
  }

  @Test func `members that a scaling's kind does not read are told, and those that say nothing are not`() throws {
    let told = try outcome(["rotary_scaling": ["type": "linear", "factor": 4, "low_freq_factor": 1, "attention_factor": 3, "zz": 5]])
    #expect(told.warnings.map(\.subject) == ["rotary_scaling.low_freq_factor", "rotary_scaling.attention_factor", "rotary_scaling.zz"], "\(told)")
    let silent = try outcome(["rotary_scaling": ["rope_type": "linear", "factor": 4, "attention_factor": 1, "mscale": nil, "rope_theta": 20000]])
    #expect(silent.warnings.isEmpty && silent.error == nil, "\(silent)")
    #expect(try outcome(["rotary_scaling": [:]]).error == nil)
    #expect(try outcome(["rotary_scaling": ["type": "default", "factor": 4]]).warnings.map(\.subject) == ["rotary_scaling.factor"])
  }

  @Test func `what TensorRT-LLM's runtime would do by itself is told where answers depend on it`() throws {
    let told = try outcome(["runtime_defaults": ["kv_cache_config": ["max_attention_window": [16], "free_gpu_memory_fraction": 0.5, "sink_token_length": nil]]])
    #expect(told.warnings.map(\.subject) == ["runtime_defaults.kv_cache_config.max_attention_window"], "\(told)")
    #expect(try outcome(["runtime_defaults": ["kv_cache_config": ["enable_block_reuse": true]]]).warnings.isEmpty)
    #expect(try outcome(["runtime_defaults": ["other": 3]]).warnings.map(\.subject) == ["runtime_defaults.other"])
  }

  @Test func `a checkpoint that does not say how positions are known is told so`() throws {
    let error = try #require(try outcome(["position_embedding_type": nil]).error)
    #expect(error.contains("'position_embedding_type' of the configuration is missing"), "\(error)")
  }

  @Test func `of many fields that nothing uses few lines are said`() throws {
    let many = try outcome(JSONObject(uniqueKeysWithValues: (0..<40).map { ("zz_\($0)", 1) }))
    #expect(many.warnings.count == 10 && many.warnings.last?.description.contains("30 more keys") == true, "\(many.warnings)")
  }
}
