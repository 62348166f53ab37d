import Checkpoints
import JSON
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// Everything that is wrong with a model is told at once, in few words at any number of layers.
struct ProblemsTogetherTests {
  let directory = TemporaryDirectory()

  typealias Tensor = (name: String, shape: [Int])
  /// Names and shapes of a Llama model with 2 heads of 4.
  static func tensors(layers: Int, vocabulary: Int = 16) -> [Tensor] {
    var all: [Tensor] = [(name: "model.embed_tokens.weight", shape: [vocabulary, 8])]
    for layer in 0..<layers {
      let prefix = "model.layers.\(layer)."
      for name in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"] {
        all.append((name: "\(prefix)\(name).weight", shape: [8, 8]))
      }
      for name in ["input_layernorm", "post_attention_layernorm"] { all.append((name: "\(prefix)\(name).weight", shape: [8])) }
    }
    return all + [(name: "model.norm.weight", shape: [8]), (name: "lm_head.weight", shape: [vocabulary, 8])]
  }

  @Test func `a layer's number beyond any model's is part of a name that has no place`() throws {
    let strange = (name: "model.layers.\(Int.max).mlp.up_proj.weight", shape: [8, 8])
    let path = write(Self.tensors(layers: 2) + [strange], layers: 2)
    let source = try ModelSource(path)
    let warnings = try ConvertedWeights(source.tensors, model: source.model, mapping: Mapping(), elementType: .bfloat16).warnings
    #expect(warnings.contains { $0.description.contains("\(Int.max)") }, "\(warnings)")
  }

  /// Writes a model whose file holds these tensors, all zero.
  func write(_ tensors: [Tensor], layers: Int, types: [String: String] = [:], config: JSONObject = [:]) -> FilePath {
    var header: JSONObject = [:]
    var end = 0
    for (name, shape) in tensors {
      let type = types[name] ?? "BF16"
      let size = shape.reduce(type == "BF16" ? 2 : 8, *)
      header[name] = ["dtype": .string(type), "shape": .ints(shape), "data_offsets": .ints([end, end + size])]
      end += size
    }
    let text = Array(JSONValue.object(header).serialized().utf8)
    let size = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
    directory.write("m/model.safetensors", size + text + [UInt8](repeating: 0, count: end))
    var members: JSONObject = [
      "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": .int(layers),
      "intermediate_size": 8, "vocab_size": 16, "max_position_embeddings": 64, "torch_dtype": "bfloat16",
    ]
    for (key, value) in config { members[key] = value }
    directory.write("m/config.json", JSONValue.object(members).serialized())
    return directory("m")
  }
  func convert(_ path: FilePath) throws {
    let source = try ModelSource(path)
    _ = try ConvertedWeights(source.tensors, model: source.model, mapping: Mapping(), elementType: .bfloat16)
  }
  /// The message, which is short however many tensors it is about.
  func said(_ path: FilePath) throws -> String {
    let text = try #require(message { try convert(path) })
    #expect(text.split(separator: "\n").allSatisfy { $0.count <= 300 } && text.count < 1500, "\(text)")
    return text
  }

  @Test func `a right model is right`() throws { try convert(write(Self.tensors(layers: 3), layers: 3)) }

  @Test func `missing, empty, misshapen tensors and types that are no numbers are told together`() throws {
    var tensors = Self.tensors(layers: 4)
    func place(_ name: String) -> Int { tensors.firstIndex { $0.name == name }! }
    tensors[place("model.layers.0.mlp.up_proj.weight")].shape = [7, 8]
    tensors[place("model.layers.2.mlp.up_proj.weight")].shape = [0]
    tensors[place("model.layers.3.self_attn.q_proj.weight")].shape = [8, 4]
    tensors.remove(at: place("model.norm.weight"))
    let text = try said(write(tensors, layers: 4, types: ["model.layers.1.mlp.down_proj.weight": "I64"]))
    for words in [
      "4 kinds of problems", "1 tensor is missing", "model.norm.weight", "1 tensor is empty", "model.layers.2.mlp.up_proj.weight",
      "2 tensors have another shape", "'model.layers.0.mlp.up_proj.weight' has shape [7, 8], expected [8, 8]", "[8, 4]", "stored as I64",
    ] { #expect(text.contains(words), "\(words) in \(text)") }
  }

  @Test(arguments: [32, 126]) func `one fault in every layer is a few lines`(layers: Int) throws {
    let all = Self.tensors(layers: layers)
    let missing = try said(write(all.filter { !$0.name.contains("mlp") }, layers: layers))
    #expect(missing.contains("\(3 * layers) tensors are missing") && missing.contains("model.layers.*.mlp.up_proj.weight (\(layers))"))
    let more: [Tensor] = (0..<layers).map { (name: "model.layers.\($0).self_attn.q_norm.weight", shape: [4]) }
    let unexpected = try said(write(all.filter { $0.name != "model.norm.weight" } + more, layers: layers))
    #expect(unexpected.contains("no place for \(layers) tensors") && unexpected.contains("q_norm.weight (\(layers))"))
    let wide: [Tensor] = all.map { (name: $0.name, shape: $0.name.contains("mlp") ? [8, 9] : $0.shape) }
    let shapes = try said(write(wide, layers: layers))
    #expect(shapes.contains("\(3 * layers) tensors have another shape") && shapes.contains("'model.layers.*.mlp.up_proj.weight' has shape [8, 9], expected [8, 8]"))
    #expect(shapes.contains("(\(layers))"))
  }

  @Test(arguments: [
    ("module.", "DataParallel"), ("_orig_mod.", "compiled"), ("base_model.model.", "PEFT"), ("transformer_wrapper.", "every name starts with 'transformer_wrapper.'"),
    ("_fsdp_wrapped_module.", "FSDP"),
  ])
  func `a prefix that all names share is the cause`(prefix: String, words: String) throws {
    let text = try said(write(Self.tensors(layers: 32).map { (name: prefix + $0.name, shape: $0.shape) }, layers: 32))
    #expect(text.contains("every name starts with '\(prefix)'") && text.contains(words), "\(text)")
  }

  @Test(arguments: [
    ("self_attn", "_checkpoint_wrapped_module.self_attn", "activation checkpointing"), ("layers", "_fsdp_wrapped_module.layers", "FSDP"),
    ("model.", "model.language_model.", "language model inside"), ("q_proj.weight", "q_proj.base_layer.weight", "not merged"),
  ])
  func `a wrapper within names is the cause`(part: String, other: String, words: String) throws {
    let text = try said(write(Self.tensors(layers: 32).map { (name: $0.name.replacing(part, with: other), shape: $0.shape) }, layers: 32))
    #expect(text.contains(words), "\(text)")
  }

  @Test func `layers more or fewer than the configuration's are counted`() throws {
    #expect(try said(write(Self.tensors(layers: 5), layers: 4)).contains("num_hidden_layers is 4, and the weights hold 5 layers"))
    #expect(try said(write(Self.tensors(layers: 3), layers: 4)).contains("num_hidden_layers is 4, and the weights hold 3 layers"))
  }

  @Test func `tables of another number of rows are called the vocabulary`() throws {
    let text = try said(write(Self.tensors(layers: 2, vocabulary: 19), layers: 2))
    #expect(text.contains("the vocabulary has another size") && text.contains("19 rows, vocab_size is 16") && text.contains("Tokens were added"))
    #expect(text.contains("model.embed_tokens.weight, lm_head.weight"))
  }

  @Test func `names without or with one more base prefix are read as transformers reads them, with a warning`() throws {
    let all = Self.tensors(layers: 3)
    let bare: [Tensor] = all.filter { $0.name != "lm_head.weight" }.map { (name: $0.name.replacing("model.", with: ""), shape: $0.shape) }
    let twice: [Tensor] = all.map { (name: "model." + $0.name, shape: $0.shape) }
    for tensors in [bare, twice] {
      let path = write(tensors, layers: 3, config: ["tie_word_embeddings": true])
      try convert(path)
      let warnings = try ModelSource(path).warnings
      #expect(warnings.contains { $0.description.contains("as transformers does") && $0.description.contains("more names") }, "\(warnings)")
    }
    // Two tensors of one name are not guessed about.
    #expect(throws: (any Error).self) { try convert(write(all + [(name: "norm.weight", shape: [8])], layers: 3)) }
  }

  @Test func `several settings that cannot be used are told together`() throws {
    let text = try said(write(Self.tensors(layers: 2), layers: 2, config: ["hidden_size": "x", "vocab_size": 0, "num_key_value_heads": -1]))
    for words in ["3 settings", "'hidden_size' is a string", "'vocab_size' is 0", "'num_key_value_heads' is -1"] { #expect(text.contains(words), "\(text)") }
  }

  @Test func `shards that a trainer did not gather are called that`() throws {
    for change in [{ _ in [0] }, { [$0.reduce(1, *) / 4] }] as [([Int]) -> [Int]] {
      let text = try said(write(Self.tensors(layers: 2).map { $0.shape.count == 2 ? ($0.name, change($0.shape)) : $0 }, layers: 2))
      for words in ["tensors are empty or flat", "ZeRO-3", "zero_to_fp32.py"] { #expect(text.contains(words), "\(text)") }
    }
  }

  @Test func `a GGUF file's tensors are told by its own names`() throws {
    let whole = try #require(contents(Expected.directory.appending("models/tied.gguf")))
    let renamed = replacing(whole, "blk.1.ffn_up.weight", "blk.1.ffn_uq.weight")
    let text = try #require(message { try convert(directory.write("x.gguf", renamed)) })
    #expect(text.contains("blk.1.ffn_up.weight") && text.contains("blk.1.ffn_uq.weight") && !text.contains("config.json"), "\(text)")
  }
  private func replacing(_ bytes: [UInt8], _ word: String, _ other: String) -> [UInt8] {
    var bytes = bytes
    let wanted = Array(word.utf8)
    if let place = bytes.indices.first(where: { bytes[$0...].starts(with: wanted) }) { bytes.replaceSubrange(place..<place + wanted.count, with: Array(other.utf8)) }
    return bytes
  }

  @Test func `no kind of error has a long line, whatever the names`() {
    let names = (0..<1200).map { "model.layers.\($0 / 9).\(String(repeating: "long_name", count: 30))\($0 % 9).weight" }
    let shape = Array(repeating: 123_456, count: 100)
    let problems: [WeightSourceError.Problem] =
      [
        .missing(names: names), .unexpected(names: names, family: "Llama"), .missingShards(files: names), .emptied(names: names), .ungathered(names: names),
        .misnamed(names: names, cause: "every name starts with 'x.'", remedy: "Save it again."), .vocabulary(tensors: ["a", "b"], rows: 1, configured: 2),
        .unsupportedSettings(names, file: "adapter_config.json"), .unsupportedFamily(name: names[0], supported: ["LlamaForCausalLM"]),
      ] + names.map { .shape(tensor: $0, found: shape, expected: [8, 8], why: "from the configuration") }
      + names.map { .elementType(tensor: $0, found: "I64", supported: ["F16"]) } + names.map { .configuration(key: $0, file: "config.json", reason: "is missing") }
    for error in problems.prefix(9).map({ WeightSourceError("model", $0) }) + [WeightSourceError("model", problems)] {
      let lines = error.description.split(separator: "\n")
      #expect(lines.allSatisfy { $0.count <= 300 } && lines.count < 70, "\(error)")
    }
  }

  @Test func `settings that are not supported hide neither each other nor what is wrong with the tensors`() throws {
    let tensors = Self.tensors(layers: 2).filter { $0.name != "model.norm.weight" } + [(name: "model.layers.0.mlp.experts.weight", shape: [8])]
    let text = try said(
      write(
        tensors, layers: 2,
        config: [
          "quantization_config": ["quant_method": "fp8"], "rope_scaling": ["rope_type": "yarn", "factor": 4], "hidden_act": "quick_gelu", "sliding_window": "x",
          "tie_word_embeddings": 3, "is_causal": false,
        ]))
    for words in [
      "6 settings", "fp8", "'yarn'", "quick_gelu", "'sliding_window' is a string", "tie_word_embeddings", "is_causal", "1 tensor is missing", "model.norm.weight",
      "experts.weight",
    ] { #expect(text.contains(words), "\(words) in \(text)") }
    let bad = try said(
      write(
        Self.tensors(layers: 2), layers: 2,
        config: [
          "hidden_size": nil, "vocab_size": [], "rms_norm_eps": "x", "hidden_act": "q", "rope_theta": "x", "num_key_value_heads": -1, "mlp_bias": 3,
        ]))
    for words in ["7 settings", "'hidden_size' is null", "vocab_size", "rms_norm_eps", "hidden_act", "rope_theta", "num_key_value_heads", "mlp_bias"] {
      #expect(bad.contains(words), "\(words) in \(bad)")
    }
  }

  @Test func `tensors that nothing uses are left out with a warning, unless others are missing`() throws {
    let all = Self.tensors(layers: 2), heads: [Tensor] = [(name: "v_head.summary.weight", shape: [1, 8]), (name: "v_head.summary.bias", shape: [1])]
    let source = try ModelSource(write(all + heads, layers: 2))
    let weights = try ConvertedWeights(source.tensors, model: source.model, mapping: Mapping(), elementType: .bfloat16)
    #expect(weights.warnings.count == 1 && weights.warnings[0].description.contains("v_head.summary.weight' and 1 more tensors are used by nothing"), "\(weights.warnings)")
    let text = try said(write(all.filter { $0.name != "model.norm.weight" } + heads, layers: 2))
    #expect(text.contains("model.norm.weight") && text.contains("v_head.summary.bias") && text.contains("of another family"), "\(text)")
  }

  @Test(arguments: ["._orig", ".parametrizations.original0"])
  func `an ending that all names share is the cause`(ending: String) throws {
    let text = try said(write(Self.tensors(layers: 32).map { (name: $0.name + ending, shape: $0.shape) }, layers: 32))
    #expect(text.contains("every name ends with '\(ending)'"), "\(text)")
  }
}
