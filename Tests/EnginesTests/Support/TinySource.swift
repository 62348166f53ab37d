import EngineFixtures
import JSON
import SystemPackage
import TestSupport

/// A model of a few numbers in its author's format, written byte by byte: nothing of the code under test.
@dynamicMemberLookup
struct TinySource {
  /// Its sizes, in the words of the checkpoint that it becomes.
  var shape = SmallModel(hidden: 16, heads: 4, keyValueHeads: 2, headSize: 4, intermediate: 24, layers: 2, vocabulary: 32)
  var hasAttentionBias = false
  var hasMLPBias = false
  /// Norms of query and key heads, of each by itself or of all together.
  var hasHeadNorms = false
  var hasSpanningNorms = false
  /// Norms around attention and MLP.
  var hasOuterNorms = false
  /// What names begin with in place of `model.`.
  var prefix = "model."
  /// lm_head is a copy of the table.
  var hasEqualHead = false
  /// Names without `model.` in front.
  var isBare = false
  /// Ends of names that are left out.
  var without: [String] = []
  /// Names and shapes of tensors that no such model has, all zero.
  var more: [(name: String, shape: [Int])] = []
  /// For the values.
  var seed: UInt64 = 1

  subscript(dynamicMember path: WritableKeyPath<SmallModel, Int>) -> Int {
    get { shape[keyPath: path] }
    set { shape[keyPath: path] = newValue }
  }

  typealias Tensor = (name: String, shape: [Int], values: [Float])

  /// Under Hugging Face's names, float32.
  var tensors: [Tensor] {
    var random = SeededGenerator(seed: seed)
    var result: [Tensor] = []
    func add(_ name: String, _ shape: [Int], around center: Float = 0) {
      let values = (0..<shape.reduce(1, *)).map { _ in center + Float.random(in: -0.25...0.25, using: &random) }
      result.append((name, shape, values))
    }
    add("model.embed_tokens.weight", [self.vocabulary, self.hidden])
    for layer in 0..<self.layers {
      let prefix = "model.layers.\(layer)."
      add(prefix + "input_layernorm.weight", [self.hidden], around: 1)
      add(prefix + "post_attention_layernorm.weight", [self.hidden], around: 1)
      if hasOuterNorms { for name in ["pre", "post"] { add("\(prefix)\(name)_feedforward_layernorm.weight", [self.hidden], around: 1) } }
      if hasHeadNorms { for name in ["q_norm", "k_norm"] { add("\(prefix)self_attn.\(name).weight", [self.headSize], around: 1) } }
      if hasSpanningNorms {
        for (name, heads) in [("q_norm", self.heads), ("k_norm", self.keyValueHeads)] { add("\(prefix)self_attn.\(name).weight", [heads * self.headSize], around: 1) }
      }
      let (q, kv) = (self.heads * self.headSize, self.keyValueHeads * self.headSize)
      for (name, rows, columns, hasBias) in [
        ("self_attn.q_proj", q, self.hidden, hasAttentionBias), ("self_attn.k_proj", kv, self.hidden, hasAttentionBias),
        ("self_attn.v_proj", kv, self.hidden, hasAttentionBias), ("self_attn.o_proj", self.hidden, q, hasAttentionBias),
        ("mlp.gate_proj", self.intermediate, self.hidden, hasMLPBias), ("mlp.up_proj", self.intermediate, self.hidden, hasMLPBias),
        ("mlp.down_proj", self.hidden, self.intermediate, hasMLPBias),
      ] {
        add("\(prefix)\(name).weight", [rows, columns])
        if hasBias { add("\(prefix)\(name).bias", [rows]) }
      }
    }
    add("model.norm.weight", [self.hidden], around: 1)
    add("lm_head.weight", [self.vocabulary, self.hidden])
    if hasEqualHead { result[result.count - 1].values = result[0].values }
    result += more.map { ($0.name, $0.shape, [Float](repeating: 0, count: $0.shape.reduce(1, *))) }
    return result.filter { tensor in !without.contains { tensor.name.hasSuffix($0) } }
      .map { ($0.name.replacing("model.", with: isBare ? "" : self.prefix), $0.shape, $0.values) }
  }

  /// `config.json` and `model.safetensors`.
  func write(_ config: JSONObject, to path: FilePath, in directory: TemporaryDirectory) {
    var header: JSONObject = [:]
    var data: [UInt8] = []
    for (name, shape, values) in tensors {
      let start = data.count
      data += values.flatMap(Self.bytes)
      header[name] = ["dtype": "F32", "shape": .ints(shape), "data_offsets": .ints([start, data.count])]
    }
    let text = Array(JSONValue.object(header).serialized().utf8)
    let padding = [UInt8](repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
    let length = UInt64(text.count + padding.count)
    let name = path.lastComponent?.string ?? "model"
    directory.write("\(name)/model.safetensors", (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + text + padding + data)
    directory.write("\(name)/config.json", JSONValue.object(config).serialized())
  }

  var config: JSONObject {
    [
      "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": .int(self.hidden), "num_attention_heads": .int(self.heads),
      "num_key_value_heads": .int(self.keyValueHeads), "head_dim": .int(self.headSize), "num_hidden_layers": .int(self.layers),
      "intermediate_size": .int(self.intermediate), "vocab_size": .int(self.vocabulary), "max_position_embeddings": 64,
      "rms_norm_eps": .double(1e-5), "hidden_act": "silu", "rope_theta": .double(20000), "tie_word_embeddings": false,
      "torch_dtype": "float32",
    ]
  }

  static func bytes(_ value: Float) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
}

/// A value of a GGUF file's metadata, with the code of its type.
enum GGUFField {
  case u32(UInt32), f32(Float), flag(Bool), text(String), texts([String]), u32s([UInt32])

  var bytes: [UInt8] {
    func little(_ value: UInt64, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    func string(_ text: String) -> [UInt8] { little(UInt64(text.utf8.count), 8) + Array(text.utf8) }
    return switch self {
    case .u32(let value): little(4, 4) + little(UInt64(value), 4)
    case .f32(let value): little(6, 4) + TinySource.bytes(value)
    case .flag(let value): little(7, 4) + [value ? 1 : 0]
    case .text(let value): little(8, 4) + string(value)
    case .texts(let values): little(9, 4) + little(8, 4) + little(UInt64(values.count), 8) + values.flatMap(string)
    case .u32s(let values): little(9, 4) + little(4, 4) + little(UInt64(values.count), 8) + values.flatMap { little(UInt64($0), 4) }
    }
  }
}

extension TinySource {
  /// What llama.cpp's converter writes for such a model.
  var metadata: [String: GGUFField] {
    [
      "general.architecture": .text("llama"), "general.name": .text("tiny"), "llama.block_count": .u32(UInt32(self.layers)),
      "llama.context_length": .u32(64), "llama.embedding_length": .u32(UInt32(self.hidden)),
      "llama.feed_forward_length": .u32(UInt32(self.intermediate)), "llama.attention.head_count": .u32(UInt32(self.heads)),
      "llama.attention.head_count_kv": .u32(UInt32(self.keyValueHeads)), "llama.attention.layer_norm_rms_epsilon": .f32(1e-5),
      "llama.rope.dimension_count": .u32(UInt32(self.headSize)), "llama.rope.freq_base": .f32(20000), "llama.vocab_size": .u32(UInt32(self.vocabulary)),
      "tokenizer.ggml.model": .text("gpt2"), "tokenizer.ggml.tokens": .texts((0..<self.vocabulary).map { "t\($0)" }),
    ]
  }

  /// A GGUF file of version 3, all float32.
  func gguf(_ metadata: [String: GGUFField], extra: [Tensor] = []) -> [UInt8] {
    func little(_ value: UInt64, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    func string(_ text: String) -> [UInt8] { little(UInt64(text.utf8.count), 8) + Array(text.utf8) }
    let parts = [
      "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
      "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
      "post_attention_layernorm": "ffn_norm", "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    ]
    let all =
      tensors.map { tensor in
        var name = tensor.name.replacing("model.layers.", with: "blk.")
        for (from, to) in parts { name = name.replacing(from, with: to) }
        return (name: name, shape: tensor.shape, values: tensor.values)
      } + extra
    var bytes = Array("GGUF".utf8) + little(3, 4) + little(UInt64(all.count), 8) + little(UInt64(metadata.count), 8)
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { bytes += string(key) + value.bytes }
    var data: [UInt8] = []
    for (name, shape, values) in all {
      bytes += string(name) + little(UInt64(shape.count), 4) + shape.reversed().flatMap { little(UInt64($0), 8) }
      bytes += little(0, 4) + little(UInt64(data.count), 8)
      data += values.flatMap(Self.bytes)
      data += [UInt8](repeating: 0, count: (32 - data.count % 32) % 32)
    }
    return bytes + [UInt8](repeating: 0, count: (32 - bytes.count % 32) % 32) + data
  }
}
