import Checkpoints
import Families
import JSON
import Networks
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// Configurations of Gemma 3 against what transformers 5 makes of them (`Scripts/reference/gemma3_facts.py`).
struct Gemma3FactsTests {
  static let cases: [ModelFactsTests.Case] = {
    let path = FilePath(#filePath).removingLastComponent().appending("Expected/gemma3-facts.json")
    guard let text = contents(path), let json = try? JSONValue(parsing: text) else { return [] }
    return (json["cases"]?.array ?? []).map { .init(name: $0["name"]?.string ?? "", json: $0) }
  }()

  /// Loaded by transformers, and refused here: what it leaves out without an error would be missed, or no engine computes it.
  static let refused = [
    "window: zero": "sliding_window", "rotary: yarn": "rope_type", "rotary: parameters by type, linear for the windowed": "sliding_attention.rope_type",
    "caps: of logits, zero": "final_logit_softcapping", "tied: no, without a head": "lm_head", "bias: attention, there and not declared": "attention_bias",
    "direction: both": "use_bidirectional_attention", "direction: is_causal false": "is_causal", "norms: not there for keys": "k_norm.weight",
    "norms: not there after the MLP": "post_feedforward_layernorm.weight",
  ]
  /// Refused by transformers, and taken here: what was meant is plain.
  static let taken = ["class: architectures alone", "heads: hidden size that they do not divide"]
  /// What is said; of everything else nothing is.
  static let warned: [String: [String]] = [
    "layers: pattern with an underscore": ["_sliding_window_pattern"],
    "layers: types against the pattern": ["sliding_window_pattern"],
    "window: use_sliding_window false": [],
    "rotary: linear, older name": ["rope_scaling.type", "rope_scaling.factor"],
    "rotary: factor without type": ["rope_scaling.factor"],
    "rotary: base inside of the scaling": ["rope_theta"],
    "rotary: parameters by type beside the older keys": ["rope_local_base_freq", "rope_theta"],
    "rotary: parameters by type beside a scaling": ["rope_parameters.full_attention.rope_type", "rope_local_base_freq", "rope_theta"],
    "rotary: parameters of one type beside the older keys": ["rope_theta"],
    "rotary: parameters of all types together": ["rope_parameters.rope_type", "rope_parameters.rope_theta"],
    "rotary: parameters of all types together, linear": ["rope_parameters.rope_type", "rope_parameters.factor", "rope_parameters.rope_theta"],
    "rotary: partial factor": ["partial_rotary_factor"],
    "caps: of logits, with images": ["text_config.final_logit_softcapping"],
    "tied: not inside, with images": ["text_config.tie_word_embeddings"],
    "caps: of attention": ["attn_logit_softcapping"],
    "tied: with an own head": ["tie_word_embeddings"],
    "activation: hidden_act beside it": ["hidden_act"],
    "activation: hidden_act alone": ["hidden_act"],
    "bias: attention, declared and not there": ["attention_bias"],
    "type: dtype and torch_dtype differ": ["torch_dtype", "dtype"],
  ]

  let directory = TemporaryDirectory(inMemory: true)

  private func open(_ json: JSONValue) throws -> (source: ModelSource, weights: ConvertedWeights) {
    let config = try #require(json["config"]?.object)
    let text = config["text_config"]?.object ?? config
    let shape = json["tensors"]
    var tiny = TinySource()
    tiny.hidden = text["hidden_size"]?.int ?? 16
    tiny.layers = text["num_hidden_layers"]?.int ?? 2
    tiny.headSize = shape?["head_size"]?.int ?? 4
    tiny.keyValueHeads = shape?["kv"]?.int ?? 2
    tiny.hasAttentionBias = shape?["attention_bias"]?.bool ?? false
    (tiny.hasHeadNorms, tiny.hasOuterNorms) = (true, true)
    tiny.without = (shape?["without"]?.array ?? []).compactMap(\.string) + (shape?["head"]?.bool == true ? [] : ["lm_head.weight"])
    if let prefix = json["prefix"]?.string, !prefix.isEmpty { tiny.prefix = prefix }
    tiny.write(config, to: directory("model"), in: directory)
    let source = try ModelSource(directory("model"))
    return (source, try ConvertedWeights(source.tensors, model: source.model, mapping: Mapping(), elementType: source.model.elementType))
  }

  @Test func `there are cases of every kind`() {
    let kinds = Set(Self.cases.compactMap { $0.name.split(separator: ":").first })
    #expect(Self.cases.count > 70 && kinds.isSuperset(of: ["class", "layers", "window", "rotary", "scale", "caps", "tied", "heads", "activation", "bias", "norms"]))
    let names = Set(Self.cases.map(\.name))
    #expect(names.isSuperset(of: Self.warned.keys) && names.isSuperset(of: Self.refused.keys) && names.isSuperset(of: Self.taken))
  }

  @Test(arguments: cases) func `a fact is read where transformers reads it`(_ test: ModelFactsTests.Case) throws {
    let expected = try #require(test.json["expected"])
    if let key = Self.refused[test.name] {
      let error = #expect(throws: WeightSourceError.self) { _ = try open(test.json) }
      let text = "\(try #require(error))"
      #expect(text.contains(key), "\(text)")
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
    for warning in source.warnings { #expect(warning.description.count <= 300) }
    guard expected["refused"] == nil else { return }

    #expect(model.architecture == "Gemma3ForCausalLM")
    let config = try CheckpointConfig(parsing: model.checkpointConfig(elementType: model.elementType, mapping: Mapping()))
    let network = try ModelFamily.network(config: config, rank: 0, sharesEmbedding: false)
    let attentions = network.operations.compactMap { if case .attention(let attention) = $0 { attention } else { nil } }
    let frequencies = try #require(expected["frequencies"]?.array).map { ($0.array ?? []).compactMap(\.double) }
    let windows = try #require(expected["windows"]?.array).map(\.int)
    #expect(attentions.count == expected["layers"]?.int)
    for (index, attention) in attentions.enumerated() {
      #expect(attention.window == windows[index], "layer \(index)")
      #expect(attention.softCap == nil && abs(Double(attention.scale) - (expected["scale"]?.double ?? 0)) < 1e-6)
      let found = network.rotaries[try #require(attention.rotary)].frequencies
      #expect(found.count == frequencies[index].count)
      for (found, wanted) in zip(found, frequencies[index]) { #expect(abs(found - wanted) <= 1e-5 * wanted, "layer \(index)") }
    }
    let scales = network.operations.compactMap { if case .embed(let embed) = $0 { embed.scale } else { nil } }
    #expect(scales.map(Double.init) == [expected["embeddingScale"]?.double])
    let caps = network.operations.compactMap { if case .unary(let unary) = $0, case .softCap(let cap) = unary.kind { Double(cap) } else { nil } }
    #expect(caps == [expected["logitCap"]?.double].compactMap(\.self))
    #expect(model.shape.headSize == expected["headSize"]?.int && model.shape.keyValueHeadCount == expected["keyValueHeads"]?.int)
    #expect(model.maximumPositions == expected["positions"]?.int && config.normEpsilon == expected["epsilon"]?.double)
    #expect(model.hiddenActivation == expected["activation"]?.string.flatMap { ModelFactsTests.activations[$0] })
    #expect(model.attentionBias == expected["attentionBias"]?.bool && model.elementType.configName == expected["dtype"]?.string)
    let (table, head) = (try weights.bytes(of: "transformer.vocab_embedding.weight", rank: 0), try weights.bytes(of: "lm_head.weight", rank: 0))
    #expect((table == head) == expected["tied"]?.bool)
    // Norms hold the sum with 1, in float32 whatever the others are.
    let norm = "transformer.layers.0.input_layernorm.weight"
    #expect(weights.description(of: norm, rank: 0)?.elementType == .float32)
    let stored = try source.tensors.bytes(of: "model.layers.0.input_layernorm.weight")
    let sums = try weights.bytes(of: norm, rank: 0)
    for index in stride(from: 0, to: stored.count, by: 4) {
      func float(_ bytes: [UInt8]) -> Float { Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[index + $1]) << (8 * UInt32($1)) }) }
      #expect(float(sums) == float(stored) + 1)
    }
  }
}
