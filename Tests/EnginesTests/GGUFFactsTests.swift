import Checkpoints
import EngineFixtures
import Engines
import Families
import JSON
import Networks
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// Metadata whose facts stand in several places or are left out, as llama.cpp's loader reads them.
struct GGUFFactsTests {
  let directory = TemporaryDirectory(inMemory: true)

  private func open(
    _ changes: [String: GGUFField?], _ tiny: TinySource = TinySource(), extra: [TinySource.Tensor] = []
  ) throws -> ModelSource {
    var metadata = tiny.metadata
    for (key, value) in changes { metadata[key] = value }
    return try ModelSource(directory.write("tiny.gguf", tiny.gguf(metadata, extra: extra)))
  }
  private func frequencies(_ source: ModelSource) throws -> [Double] {
    let config = try CheckpointConfig(parsing: source.model.checkpointConfig(elementType: .float32, mapping: Mapping()))
    return try #require(try ModelFamily.network(config: config, rank: 0, sharesEmbedding: false).rotaries.first).frequencies
  }
  private func refusal(_ changes: [String: GGUFField?], _ tiny: TinySource = TinySource(), extra: [TinySource.Tensor] = []) throws -> String {
    do { _ = try open(changes, tiny, extra: extra) } catch { return "\(error)" }
    return ""
  }

  @Test func `linear scaling is one thing under its type, without one and under its old key`() throws {
    let plain = try frequencies(open([:]))
    let quarter = plain.map { $0 / 4 }
    let factor = "llama.rope.scaling.factor", old = "llama.rope.scale_linear", type = "llama.rope.scaling.type"
    for (changes, expected, warned) in [
      ([type: .text("linear"), factor: .f32(4)], quarter, []),
      ([factor: .f32(4)], quarter, []),
      ([old: .f32(4)], quarter, []),
      ([type: .text("linear"), old: .f32(4)], quarter, []),
      ([factor: .f32(4), old: .f32(8)], quarter, [old]),
      ([factor: .f32(0)], plain, []),
      ([factor: .f32(1)], plain, []),
      ([type: .text("linear")], plain, []),
      ([type: .text("none")], plain, []),
      ([type: .text("none"), factor: .f32(4)], plain, [factor]),
      ([type: .text("none"), old: .f32(4)], plain, [old]),
      (["llama.rope.freq_base": nil], [1, 0.01], []),
    ] as [([String: GGUFField?], [Double], [String])] {
      let source = try open(changes)
      let found = try frequencies(source)
      for (found, expected) in zip(found, expected) { #expect(abs(found - expected) < 1e-6 * expected, "\(changes)") }
      #expect(source.warnings.map(\.subject) == warned, "\(changes)")
    }
  }

  @Test func `a table of divisors gives Llama 3's parameters, also with another original length`() throws {
    var tiny = TinySource()
    tiny.headSize = 32
    func table(original: Double, factor: Double = 8) -> TinySource.Tensor {
      let rotary = RotaryEmbedding(
        style: .halves, dimension: 32, base: 20000,
        scaling: .llama3(factor: factor, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaximum: original))
      let plain = RotaryEmbedding(style: .halves, dimension: 32, base: 20000, scaling: .none)
      return ("rope_freqs.weight", [16], zip(plain.frequencies, rotary.frequencies).map { Float($0 / $1) })
    }
    let size: [String: GGUFField?] = ["llama.attention.key_length": .u32(32), "llama.attention.value_length": .u32(32)]
    for original in [8192, 1024, 4096] {
      let source = try open(size, tiny, extra: [table(original: Double(original))])
      #expect(source.model.rotaryScaling?["original_max_position_embeddings"]?.int == original && source.warnings.isEmpty)
      #expect(source.model.rotaryScaling?["factor"]?.double == 8)
    }
    #expect(try open(size, tiny, extra: [("rope_freqs.weight", [16], [Float](repeating: 1, count: 16))]).model.rotaryScaling == nil)
    let both = try refusal(size.merging(["llama.rope.scaling.factor": .f32(2)]) { $1 }, tiny, extra: [table(original: 8192)])
    #expect(both.contains("rope_freqs.weight") && both.contains("both at once"))
    // A table for one layer is not the one that counts.
    let layer = try open(size, tiny, extra: [("blk.0.rope_freqs.weight", [16], table(original: 8192).values)])
    #expect(throws: WeightSourceError.self) {
      _ = try ConvertedWeights(layer.tensors, model: layer.model, mapping: Mapping(), elementType: .float32)
    }
  }

  @Test(arguments: [
    ("llama.rope.scaling.type", GGUFField.text("yarn"), "none, linear"),
    ("llama.rope.scaling.type", .text("longrope"), "none, linear"),
    ("llama.rope.scaling.attn_factor", .f32(0.5), "0.5"),
    ("llama.rope.scaling.factor", .f32(-2), "above 0"),
    ("llama.rope.dimension_count", .u32(2), "whole heads"),
    ("llama.attention.key_length", .u32(8), "value_length"),
    ("llama.attention.causal", .flag(false), "later tokens"),
    ("llama.attention.head_count_kv", .u32s([2, 4]), "layer to layer"),
    ("tokenizer.ggml.tokens", .texts(["a", "b"]), "2 tokens"),
    ("llama.block_count", .u32(1), "blk.1."),
  ]) func `a setting that no engine has is refused by name`(key: String, value: GGUFField, says: String) throws {
    let text: String
    do {
      let source = try open([key: value])
      _ = try ConvertedWeights(source.tensors, model: source.model, mapping: Mapping(), elementType: .float32)
      text = ""
    } catch { text = "\(error)" }
    #expect(!text.isEmpty && text.contains(says), "\(text)")
    #expect(["llama.attention.key_length", "llama.block_count"].contains(key) || text.contains(key), "\(text)")
  }

  /// With `expert_count` a llama is a Mixtral.
  @Test(
    arguments: [
      ("llama.expert_used_count", nil, "is missing"), ("llama.expert_used_count", .u32(9), "8 experts"), ("llama.expert_weights_scale", .f32(2.5), "2.5"),
      ("llama.expert_shared_count", .u32(1), "is 1"), ("llama.expert_gating_func", .u32(2), "softmax"), ("llama.expert_count", .u32(1 << 20), "\(1 << 20)"),
    ] as [(String, GGUFField?, String)]) func `experts that no engine has are refused by name`(key: String, value: GGUFField?, says: String) throws
  {
    var changes: [String: GGUFField?] = ["llama.expert_count": .u32(8), "llama.expert_used_count": .u32(2), "llama.expert_weights_scale": .f32(0)]
    let sound = try open(changes)
    #expect(sound.model.architecture == "MixtralForCausalLM" && sound.model.shape.experts?.normalizes == true && sound.warnings.isEmpty)
    changes[key] = value
    changes["llama.rope.scaling.type"] = .text("yarn")
    let text = try refusal(changes)
    #expect(text.contains(key) && text.contains(says) && text.contains("'yarn'") && text.contains("2 settings"), "\(text)")
  }

  @Test func `what nothing uses is told by name and value, and what says nothing is not`() throws {
    let silent = try open([
      "llama.attention.causal": .flag(true), "llama.expert_count": .u32(0), "llama.logit_scale": .f32(1), "llama.attention.sliding_window": .u32(0),
      "llama.attention.head_count_kv": .u32s([2, 2]), "llama.pooling_type": .u32(0), "general.file_type": .u32(7),
      "llama.tensor_data_layout": .text("Meta AI original pth"), "llama.rope.scaling.yarn_beta_fast": .f32(32),
      "quantize.imatrix.file": .text("a"), "llama.rope.scaling.attn_factor": .f32(1),
    ])
    #expect(silent.warnings.isEmpty && silent.model.shape.keyValueHeadCount == 2, "\(silent.warnings)")
    let heard = try open([
      "llama.logit_scale": .f32(0.25), "llama.residual_scale": .f32(0.22), "llama.embedding_scale": .f32(12), "llama.attention.scale": .f32(0.0156),
      "llama.attention.sliding_window": .u32(16), "llama.pooling_type": .u32(1), "llama.vocab_size": .u32(40), "mistral.rope.freq_base": .f32(1e6),
      "llama.attn_logit_softcapping": .f32(50),
    ])
    #expect(
      Set(heard.warnings.map(\.subject)) == [
        "llama.logit_scale", "llama.residual_scale", "llama.embedding_scale", "llama.attention.scale", "llama.attention.sliding_window",
        "llama.pooling_type", "llama.vocab_size", "mistral.rope.freq_base", "llama.attn_logit_softcapping",
      ])
    #expect(heard.warnings.contains { $0.description == "metadata: 'llama.residual_scale' is 0.22, and nothing uses it: check that answers do not depend on it" })
    #expect(heard.model.slidingWindow == 16)
  }

  @Test func `a head of its own counts, and without one the table is the head`() throws {
    let apart = try open([:])
    #expect(!apart.model.tiesEmbeddings)
    var tiny = TinySource()
    tiny.without = ["lm_head.weight"]
    #expect(try open([:], tiny).model.tiesEmbeddings)
  }

  @Test func `biases count where they are, and those that are missing beside others are zero`() throws {
    var tiny = TinySource()
    tiny.hasAttentionBias = true
    tiny.without = ["o_proj.bias", "0.self_attn.q_proj.bias"]
    let source = try open([:], tiny)
    #expect(source.model.attentionBias && !source.model.mlpBias)
    let weights = try ConvertedWeights(source.tensors, model: source.model, mapping: Mapping(), elementType: .float32)
    let dense = try weights.bytes(of: "transformer.layers.0.attention.dense.bias", rank: 0)
    #expect(dense == [UInt8](repeating: 0, count: 64))
    let qkv = try weights.bytes(of: "transformer.layers.0.attention.qkv.bias", rank: 0)
    #expect(qkv.count == 4 * 32 && qkv.prefix(64).allSatisfy { $0 == 0 } && qkv.dropFirst(64).contains { $0 != 0 })
    #expect(try weights.bytes(of: "transformer.layers.1.attention.qkv.bias", rank: 0).prefix(64).contains { $0 != 0 })
  }

  @Test func `a byte-level vocabulary without merges makes no tokenizer, as in llama.cpp`() throws {
    for (changes, words) in [
      (["tokenizer.ggml.merges": nil], "tokenizer.ggml.merges"),
      (["tokenizer.ggml.merges": .texts([]), "tokenizer.ggml.pre": .text("newest")], "tokenizer.ggml.pre"),
    ] as [([String: GGUFField?], String)] {
      let companions = try open(changes).companions()
      #expect(companions.unreadableTokenizer?.contains(words) == true && companions.contents.isEmpty, "\(companions.unreadableTokenizer ?? "")")
      #expect(try companions.findings(modelVocabulary: 32).unusable?.contains(words) == true)
    }
    // Words are cut by a default rule where none is named, which is told.
    let unnamed = try open(["tokenizer.ggml.merges": .texts([])]).companions()
    #expect(unnamed.unreadableTokenizer == nil && unnamed.notes.contains { $0.contains("tokenizer.ggml.pre is missing") }, "\(unnamed.notes)")
    // An id of no token is told and counts as left out, for the engine as for the tokenizer.
    let beyond = try open(Self.tokenizer.merging(["tokenizer.ggml.padding_token_id": .u32(32_000), "tokenizer.ggml.eos_token_id": .u32(.max)]) { $1 })
    #expect(beyond.model.eosTokenIDs.isEmpty)
    let told = try beyond.companions()
    #expect(told.unreadableTokenizer == nil && told.notes.count == 2 && told.notes.allSatisfy { $0.contains("as in llama.cpp") }, "\(told.notes)")
    // None at all is no fault.
    let none = try open(["tokenizer.ggml.model": nil, "tokenizer.ggml.tokens": nil]).companions()
    #expect(none.unreadableTokenizer == nil && none.notes.count == 1)
    #expect(try open(["tokenizer.ggml.model": .text("no_vocab"), "tokenizer.ggml.tokens": nil]).companions().unreadableTokenizer == nil)
  }

  private static let tokenizer: [String: GGUFField?] = [
    "tokenizer.ggml.merges": .texts([]), "tokenizer.ggml.pre": .text("gpt-2"), "tokenizer.ggml.eos_token_id": .u32(2),
  ]

  @Test func `how tokens are chosen comes along from a GGUF file, and what does not is told`() throws {
    let companions = try open(
      Self.tokenizer.merging([
        "general.sampling.temp": .f32(0.6), "general.sampling.top_k": .u32(20), "general.sampling.penalty_repeat": .f32(1.3),
        "general.sampling.mirostat": .u32(0), "general.sampling.mirostat_tau": .f32(5), "general.sampling.xtc_probability": .f32(0.5),
        "general.sampling.top_p": .f32(1.5), "general.sampling.min_p": .text("x"), "tokenizer.ggml.suppress_tokens": .u32s([5, 6]),
        "tokenizer.ggml.add_bos_token": .flag(false), "tokenizer.ggml.mask_token_id": .u32(3), "tokenizer.ggml.newer": .flag(false),
      ]) { $1 }
    ).companions()
    let text = try companions["generation_config.json"]?.bytes() ?? []
    let members = try #require(try JSONValue(parsing: text).object)
    #expect(members["temperature"]?.double == 0.6 && members["top_k"] == 20 && members["repetition_penalty"]?.double == 1.3)
    #expect(members["top_p"]?.double == 1 && members["min_p"] == nil && members["do_sample"] == true)
    let notes = try companions.findings(modelVocabulary: 32).notes
    #expect(notes.contains { $0.contains("temperature 0.6") && $0.contains("top_k 20") && $0.contains("--generation_config auto") }, "\(notes)")
    for words in ["general.sampling.xtc_probability is 0.5", "general.sampling.min_p is a string", "tokenizer.ggml.suppress_tokens is an array of 2 integers"] {
      #expect(notes.contains { $0.contains(words) }, "\(words): \(notes)")
    }
    #expect(!notes.contains { $0.contains("mirostat") || $0.contains("newer") || $0.contains("mask") }, "\(notes)")
    // The likeliest token.
    let greedy = try open(Self.tokenizer.merging(["general.sampling.temp": .f32(0)]) { $1 }).companions()
    #expect(try JSONValue(parsing: greedy["generation_config.json"]?.bytes() ?? [])["do_sample"] == false)
    #expect(try open(Self.tokenizer).companions().notes.isEmpty)
  }

  @Test func `messages about a GGUF file have its keys`() throws {
    let directory = TemporaryDirectory(inMemory: true)
    func source(_ changes: [String: GGUFField?]) throws -> BuildSource {
      var metadata = TinySource().metadata
      for (key, value) in changes { metadata[key] = value }
      return try BuildSource(directory.write("x.gguf", TinySource().gguf(metadata)))
    }
    let builder = EngineBuilder(options: .init(), target: Lifecycle().target)
    let window = try builder.prepare(source(["llama.attention.sliding_window": .u32(16)])).warnings
    #expect(window.contains { $0.subject == "llama.attention.sliding_window" && $0.place == "metadata" }, "\(window)")
    let unsaid = try builder.prepare(source(["llama.context_length": nil])).warnings
    #expect(unsaid.contains { $0.subject == "llama.context_length" && $0.text.contains("is missing") }, "\(unsaid)")
    #expect(try ModelSource(directory("x.gguf")).lengthWarnings.map(\.subject) == ["llama.context_length"])
    let one = try #require(messageOf { _ = try builder.prepare(source(["llama.context_length": .u32(1)])) })
    #expect(one.contains("llama.context_length") && !one.contains("config.json"), "\(one)")
    let layers = try refusal(["llama.block_count": .u32(1)])
    #expect(layers.isEmpty)
    let more = try #require(messageOf { _ = try source(["llama.block_count": .u32(1)]) })
    #expect(more.contains("block_count is 1, and the weights hold 2 layers") && !more.contains("config.json"), "\(more)")
  }

  @Test func `settings that cannot be used are told together, with what is wrong with the tensors`() throws {
    var tiny = TinySource()
    tiny.without = ["1.mlp.up_proj.weight"]
    let said = try refusal(
      [
        "llama.attention.sliding_window": .text("x"), "llama.rope.scaling.type": .text("yarn"), "llama.attention.causal": .flag(false), "llama.rope.dimension_count": .u32(2),
        "llama.attention.layer_norm_rms_epsilon": nil, "llama.rope.freq_base": .text("x"),
      ], tiny, extra: [("blk.0.foo.weight", [2], [1, 2])])
    for words in [
      "6 settings", "llama.attention.sliding_window", "'yarn'", "llama.attention.causal", "llama.rope.dimension_count", "layer_norm_rms_epsilon' is missing",
      "'llama.rope.freq_base' is a string", "blk.1.ffn_up.weight", "blk.0.foo.weight",
    ] { #expect(said.contains(words), "\(words) in \(said)") }
    let sizes = try refusal(["llama.embedding_length": nil, "llama.block_count": .text("x"), "llama.expert_count": .text("x")])
    for words in ["3 settings", "llama.embedding_length' is missing", "llama.block_count", "llama.expert_count"] { #expect(sizes.contains(words), "\(sizes)") }
  }
}
