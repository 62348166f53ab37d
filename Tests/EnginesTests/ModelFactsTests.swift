import Families
import Checkpoints
import Files
import JSON
import Networks
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// Configurations whose facts stand in several places, are null, or are left out, against what transformers 5 makes of
/// them (`Scripts/reference/model_facts.py`).
struct ModelFactsTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let name: String
    let json: JSONValue
    var testDescription: String { name }
  }

  static let cases: [Case] = {
    let path = FilePath(#filePath).removingLastComponent().appending("Expected/model-facts.json")
    guard let text = contents(path), let json = try? JSONValue(parsing: text) else { return [] }
    return (json["cases"]?.array ?? []).map { Case(name: $0["name"]?.string ?? "", json: $0) }
  }()

  /// Loaded by transformers, and refused here: what it leaves out without an error would be missed.
  static let refused = [
    "bias: attention, there and not declared": "attention_bias", "bias: attention, declared by a Mistral": "attention_bias",
    "bias: attention, there and not declared, Qwen3": "attention_bias",
    "norms: not there for keys, Qwen3": "k_norm.weight", "layers: fewer than there are": "num_hidden_layers", "activation: quick_gelu": "hidden_act",
    "attention that sees later tokens": "is_causal",
  ]
  /// With tensors that neither transformers nor an engine uses: the first of them.
  static let surplus = [
    "bias: also of the output, Qwen2": "model.layers.0.self_attn.o_proj.bias",
    "surplus: head of a value model": "v_head.summary.weight", "surplus: head of a classifier": "score.weight",
    "surplus: buffers of attention": "model.layers.0.self_attn.masked_bias", "surplus: norms of heads": "model.layers.0.self_attn.q_norm.weight",
  ]
  /// Refused by transformers, and taken here: what was meant is plain.
  static let taken = ["class: architectures alone", "heads: kv null, Mistral"]
  /// What is said; of everything else nothing is.
  static let warned: [String: [String]] = [
    "rotary: rope_parameters beside another rope_theta": ["rope_theta"],
    "rotary: rope_scaling with a base of its own": ["rope_theta"],
    "rotary: type and rope_type differ": ["rope_scaling.type", "rope_scaling.factor"],
    "rotary: type llama3 and rope_type linear": [
      "rope_scaling.type", "rope_scaling.original_max_position_embeddings", "rope_scaling.low_freq_factor", "rope_scaling.high_freq_factor",
    ],
    "rotary: scaling and parameters differ": ["rope_parameters"],
    "rotary: scaling and parameters differ, no rope_theta": ["rope_parameters"],
    "rotary: scaling default, parameters linear": ["rope_parameters"],
    "rotary: factor without type": ["rope_scaling.factor"],
    "rotary: llama3 without original length": ["rope_scaling.original_max_position_embeddings"],
    "rotary: llama3 without any length": ["rope_scaling.original_max_position_embeddings"],
    "rotary: llama3 with two original lengths": ["rope_scaling.original_max_position_embeddings"],
    "rotary: partial factor, default": ["partial_rotary_factor"],
    "rotary: partial factor inside, default": ["partial_rotary_factor"],
    "tied: declared, another head": ["tie_word_embeddings"],
    "positions: left out, Mistral": [],
    "window: left out, Mistral": [],
    "window: Llama": ["sliding_window"],
    "epsilon: under another name": ["norm_eps", "layer_norm_eps"],
    "activation: hidden_activation": ["hidden_activation"],
    "bias: attention, declared and not there": ["attention_bias"],
    "bias: attention, declared and not for the output": ["attention_bias"],
    "bias: MLP, declared and not there": ["mlp_bias"],
    "bias: not there, Qwen2": ["attention_bias"],
    "bias: MLP, declared, Qwen3": ["mlp_bias"],
    "bias: not there for keys, Qwen2": ["attention_bias"],
    "bias: attention_bias false, Qwen2": [],
    "window: flag without a width, Qwen2": [],
    "class: model_type mistral, architectures Llama": ["architectures"],
    "class: model_type llama, architectures Mistral": ["architectures"],
    "base model without its class": ["architectures", "embed_tokens.weight"],
    "type: dtype and torch_dtype differ": ["torch_dtype", "dtype"],
    "type: dtype alone": ["dtype"],
    "type: torch_dtype alone": ["torch_dtype"],
    "multipliers": [
      "embedding_multiplier", "attention_multiplier", "residual_multiplier", "logits_scaling", "logit_scale", "final_logit_softcapping",
      "attn_logit_softcapping",
    ],
  ]
  static let activations = [
    "SiLUActivation": "silu", "SiLU": "silu", "GELUActivation": "gelu", "NewGELUActivation": "gelu_new", "FastGELUActivation": "gelu_new",
    "GELUTanh": "gelu_pytorch_tanh", "ReLU": "relu",
  ]

  let directory = TemporaryDirectory(inMemory: true)

  private func open(_ json: JSONValue) throws -> (source: ModelSource, weights: ConvertedWeights) {
    let config = try #require(json["config"]?.object)
    let shape = json["tensors"]
    var tiny = TinySource()
    tiny.heads = config["num_attention_heads"]?.int ?? 4
    tiny.headSize = shape?["head_size"]?.int ?? 4
    tiny.keyValueHeads = shape?["kv"]?.int ?? 2
    tiny.hasAttentionBias = shape?["attention_bias"]?.bool ?? false
    tiny.hasHeadNorms = shape?["head_norms"]?.bool ?? false
    tiny.hasMLPBias = shape?["mlp_bias"]?.bool ?? false
    tiny.isBare = shape?["bare"]?.bool ?? false
    tiny.hasEqualHead = shape?["equal_head"]?.bool ?? false
    tiny.more = try #require(shape?["more"]?.object ?? [:]).mapValues { ($0.array ?? []).compactMap(\.int) }.map { ($0.key, $0.value) }
    tiny.without = (shape?["without"]?.array ?? []).compactMap(\.string)
    tiny.write(config, to: directory("model"), in: directory)
    let source = try ModelSource(directory("model"))
    let type = source.model.elementType
    return (source, try ConvertedWeights(source.tensors, model: source.model, mapping: Mapping(), elementType: type))
  }

  @Test func `there are cases of every kind`() {
    let kinds = Set(Self.cases.compactMap { $0.name.split(separator: ":").first })
    #expect(Self.cases.count > 90 && kinds.isSuperset(of: ["rotary", "tied", "heads", "positions", "window", "epsilon", "activation", "bias", "class", "type"]))
    let names = Set(Self.cases.map(\.name))
    #expect(names.isSuperset(of: Self.warned.keys) && names.isSuperset(of: Self.refused.keys) && names.isSuperset(of: Self.taken))
  }

  @Test(arguments: cases) func `a fact is read where transformers reads it`(_ test: Case) throws {
    let expected = try #require(test.json["expected"])
    if let key = Self.refused[test.name] {
      let error = #expect(throws: WeightSourceError.self) { _ = try open(test.json) }
      #expect("\(try #require(error))".contains(key))
      return
    }
    if expected["refused"] != nil, !Self.taken.contains(test.name) {
      let error = #expect(throws: WeightSourceError.self) { _ = try open(test.json) }
      #expect("\(try #require(error))".count < 400)
      return
    }
    let (source, weights) = try open(test.json)
    let model = source.model
    #expect(source.warnings.map(\.subject) == Self.warned[test.name] ?? [], "\(source.warnings)")
    #expect(weights.warnings.map(\.subject) == [Self.surplus[test.name]].compactMap(\.self), "\(weights.warnings)")
    for warning in source.warnings { #expect(warning.description.count <= 300) }
    guard expected["refused"] == nil else { return }

    #expect(model.architecture == expected["architecture"]?.string)
    let config = try CheckpointConfig(parsing: model.checkpointConfig(elementType: model.elementType, mapping: Mapping()))
    let network = try ModelFamily.network(config: config, rank: 0, sharesEmbedding: false)
    let frequencies = try #require(network.rotaries.first).frequencies
    let wanted = try #require(expected["frequencies"]?.array).compactMap(\.double)
    #expect(frequencies.count == wanted.count)
    for (found, wanted) in zip(frequencies, wanted) { #expect(abs(found - wanted) <= 1e-5 * wanted, "\(frequencies), \(wanted)") }
    #expect(model.shape.headSize == expected["headSize"]?.int && model.shape.keyValueHeadCount == expected["keyValueHeads"]?.int)
    #expect(model.shape.layerCount == expected["layers"]?.int && model.maximumPositions == expected["positions"]?.int)
    // A window that the class ignores is heeded as a limit: up to it both agree.
    let ignored = model.architecture == "LlamaForCausalLM" ? test.json["config"]?["sliding_window"]?.int : nil
    #expect(model.slidingWindow == expected["window"]?.int ?? ignored)
    #expect(config.normEpsilon == expected["epsilon"]?.double)
    #expect(model.hiddenActivation == expected["activation"]?.string.flatMap { Self.activations[$0] })
    #expect(model.attentionBias == expected["attentionBias"]?.bool && model.mlpBias == expected["mlpBias"]?.bool)
    #expect(model.elementType.configName == expected["dtype"]?.string)
    let (table, head) = (try weights.bytes(of: "transformer.vocab_embedding.weight", rank: 0), try weights.bytes(of: "lm_head.weight", rank: 0))
    #expect((table == head) == expected["tied"]?.bool)
    if expected["headIsStored"]?.bool == true {
      let stored = try source.tensors.bytes(of: "lm_head.weight")
      #expect(model.elementType != .float32 || head == stored)
    }
  }

  @Test func `every table and every scaling that no engine has is refused with those that there are`() throws {
    for kind in ["yarn", "dynamic", "longrope", "su", "proportional"] {
      var config = TinySource().config
      config["rope_scaling"] = ["rope_type": .string(kind), "factor": .double(4)]
      TinySource().write(config, to: directory("model"), in: directory)
      let error = #expect(throws: WeightSourceError.self) { _ = try ModelSource(directory("model")) }
      let text = "\(try #require(error))"
      #expect(text.contains("'\(kind)'") && text.contains("default, linear, llama3") && text.hasSuffix("Use another model or a variant without it; another value here would change the model's answers."), "\(text)")
    }
  }

  @Test func `quantised weights are known by the configuration, by a file beside it and by their tensors`() throws {
    for key in ["quantization_config", "compression_config", "quantization"] {
      var config = TinySource().config
      config[key] = ["quant_method": "gptq"]
      TinySource().write(config, to: directory("model"), in: directory)
      let error = #expect(throws: WeightSourceError.self) { _ = try ModelSource(directory("model")) }
      #expect("\(try #require(error))".contains("\(key)' says that the weights are quantised (gptq)"))
      config[key] = .null
      TinySource().write(config, to: directory("model"), in: directory)
      #expect(try ModelSource(directory("model")).warnings.isEmpty)
    }
    for file in ["hf_quant_config.json", "quantize_config.json"] {
      directory.write("model/\(file)", "{}")
      #expect(try ModelSource(directory("model")).warnings.map(\.subject) == [file])
      remove(directory("model/\(file)"))
    }
  }

  @Test func `what nothing uses is told by name and value, once, and what says nothing is not`() throws {
    var config = TinySource().config
    for (key, value) in [
      ("logits_scaling", 1), ("attn_logit_softcapping", .null), ("use_cache", true), ("temperature", .double(0.6)), ("new_key", false),
      ("transformers_version", "4.40.0"), ("id2label", ["0": "a"]), ("rope_interleaved", false), ("layer_types", ["full_attention", "full_attention"]),
    ] as [(String, JSONValue)] { config[key] = value }
    TinySource().write(config, to: directory("model"), in: directory)
    #expect(try ModelSource(directory("model")).warnings.isEmpty)
    config["rope_interleaved"] = true
    config["residual_multiplier"] = .double(0.22)
    config["layer_types"] = ["full_attention", "sliding_attention"]
    TinySource().write(config, to: directory("model"), in: directory)
    let warnings = try ModelSource(directory("model")).warnings
    #expect(Set(warnings.map(\.subject)) == ["rope_interleaved", "residual_multiplier", "layer_types"])
    #expect(warnings.contains { $0.description.contains("config.json: 'residual_multiplier' is 0.22, and nothing uses it") })
    for index in 0..<60 { config["mystery_\(index)"] = .string(String(repeating: "x", count: 500)) }
    TinySource().write(config, to: directory("model"), in: directory)
    let many = try ModelSource(directory("model")).warnings
    #expect(many.count == 10 && many.last?.description.contains("53 more keys") == true && many.allSatisfy { $0.description.count <= 300 })
  }
}
