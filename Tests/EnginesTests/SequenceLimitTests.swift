import CPUBackend
import CPUKernels
import Checkpoints
import Engines
import JSON
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// What build says of lengths that the model cannot do, and of fields that nothing uses.
struct SequenceLimitTests {
  let directory = TemporaryDirectory(inMemory: true)

  private func prepare(_ changes: [String: JSONValue?], asking length: Int? = nil) throws -> EngineBuilder.Prepared {
    let tiny = TinySource()
    tiny.write(tiny.config, to: directory("model"), in: directory)
    let target = directory("checkpoint")
    remove(target)
    try CheckpointConverter(ModelSource(directory("model")), mapping: Mapping(), elementType: .float32).write(to: target)
    var config = try #require(try JSONValue(parsing: contents(target.appending("config.json")) ?? []).object)
    for (key, value) in changes { config[key] = value }
    directory.write("checkpoint/config.json", JSONValue.object(config).serialized())
    var options = EngineBuilder.Options()
    options.maximumSequenceLength = length
    let builder = EngineBuilder(options: options, target: CPUTarget(threadCount: 1))
    return try builder.prepare(BuildSource(try Checkpoint(directory: target)))
  }
  private func length(_ prepared: EngineBuilder.Prepared) -> Int { prepared.plans[0].limits.sequenceLength }

  /// What is said of a checkpoint when it is opened.
  private func told(_ changes: [String: JSONValue?]) throws -> [String: String] {
    _ = try prepare([:])
    var config = try #require(try JSONValue(parsing: contents(directory("checkpoint/config.json")) ?? []).object)
    for (key, value) in changes { config[key] = value }
    directory.write("checkpoint/config.json", JSONValue.object(config).serialized())
    let source = try BuildSource(directory("checkpoint"))
    return Dictionary(uniqueKeysWithValues: source.warnings.map { ($0.subject, $0.text) })
  }

  @Test func `spellings of one field that disagree are told, with the one that counts`() throws {
    for (changes, subject, counts) in [
      (["rotary_base": .double(10000), "rotary_emb_base": .double(500000)], "rotary_emb_base", "rotary_base"),
      (["rotary_embedding_dim": 4, "rotary_dim": 2], "rotary_dim", "rotary_embedding_dim"),
      (["rotary_embedding_dim": 4, "rotary_pct": .double(0.5)], "rotary_pct", "rotary_embedding_dim"),
      (["rotary_embedding_dim": nil, "rotary_dim": 2, "rotary_pct": .double(1)], "rotary_pct", "rotary_dim"),
      (["rotary_scaling": ["rope_type": "linear", "type": "llama3", "factor": .double(2)]], "rotary_scaling.type", "rope_type"),
      (["architectures": ["MistralForCausalLM"]], "architectures", "architecture"),
      (["share_embedding_table": true, "tie_word_embeddings": false], "share_embedding_table", "tie_word_embeddings"),
    ] as [([String: JSONValue?], String, String)] {
      let warnings = try told(changes)
      #expect(warnings.count == 1 && warnings[subject]?.contains(counts) == true, "\(changes): \(warnings)")
    }
    // Other spellings of the same are no difference.
    let same: [String: JSONValue?] = [
      "rotary_base": .double(20000), "rotary_emb_base": 20000, "rotary_embedding_dim": 4, "rotary_dim": 4, "rotary_pct": .double(1), "share_embedding_table": nil,
      "architectures": ["LlamaForCausalLM"], "rotary_scaling": ["rope_type": "linear", "type": "linear", "factor": .double(2)],
    ]
    #expect(try told(same).isEmpty)
  }

  @Test func `more positions than are supported are told of the field that they came from`() throws {
    let error = #expect(throws: EngineError.self) { _ = try prepare(["max_position_embeddings": .int(1 << 27)]) }
    let text = "\(try #require(error))"
    #expect(text.contains("max_position_embeddings of config.json gives sequences of 134217728 tokens") && text.contains("give --max_seq_len"), "\(text)")
    #expect(length(try prepare(["max_position_embeddings": .int(1 << 27)], asking: 64)) == 64)
    let asked = #expect(throws: EngineError.self) { _ = try prepare([:], asking: 1 << 27) }
    #expect("\(try #require(asked))".contains("--max_seq_len is 134217728"))
  }

  @Test func `a length in which nothing can be generated is refused, wherever it comes from`() throws {
    for (changes, length) in [(["sliding_window": 1], nil), (["max_position_embeddings": 1], nil), ([:], 1)] as [([String: JSONValue?], Int?)] {
      let error = #expect(throws: EngineError.self) { _ = try prepare(changes, asking: length) }
      let text = "\(try #require(error))"
      #expect(text.contains(length == nil ? "nothing could be generated" : "--max_seq_len is 1; it must be at least 2"), "\(text)")
    }
    #expect(self.length(try prepare([:], asking: 2)) == 2)
  }

  @Test func `a length beyond the window is refused, with the largest that there is`() throws {
    let error = #expect(throws: EngineError.self) { _ = try prepare(["sliding_window": 16], asking: 64) }
    let text = "\(try #require(error))"
    #expect(text.contains("--max_seq_len is 64") && text.contains("at most 16"), "\(text)")
    let fits = try prepare(["sliding_window": 16], asking: 16)
    #expect(length(fits) == 16 && fits.warnings.isEmpty)
    let unasked = try prepare(["sliding_window": 16])
    #expect(length(unasked) == 16 && unasked.warnings.map(\.subject) == ["sliding_window"])
    let wide = try prepare(["sliding_window": 4096])
    #expect(length(wide) == 64 && wide.warnings.isEmpty)
  }

  @Test func `a length beyond the model's positions is told, and linear scaling counts`() throws {
    let scaling: JSONValue = ["rope_type": "linear", "factor": .double(4)]
    #expect(try prepare([:], asking: 64).warnings.isEmpty)
    let beyond = try prepare([:], asking: 65)
    #expect(length(beyond) == 65 && beyond.warnings.map(\.subject) == ["max_position_embeddings"])
    #expect(try prepare(["rotary_scaling": scaling], asking: 256).warnings.isEmpty)
    #expect(try prepare(["rotary_scaling": scaling], asking: 257).warnings.count == 1)
    let unknown = try prepare(["max_position_embeddings": nil])
    #expect(length(unknown) == 2048 && unknown.warnings.map(\.subject) == ["max_position_embeddings"])
  }

  @Test func `fields that nothing uses are told by name and value, and what the converter writes is not`() throws {
    #expect(try prepare([:]).warnings.isEmpty)
    let heard = try prepare([
      "use_last_layernorm": false, "layer_idx_offset": 2, "final_logit_softcapping": .double(30), "clip_qkv": .double(8), "logits_scaling": 1,
      "qwen_type": "", "fc_after_embed": true,
    ])
    #expect(Set(heard.warnings.map(\.subject)) == ["layer_idx_offset", "final_logit_softcapping", "clip_qkv", "fc_after_embed", "use_last_layernorm"])
    #expect(heard.warnings.contains { $0.description == "config.json: 'clip_qkv' is 8.0, and nothing uses it: check that answers do not depend on it" })
  }
}
