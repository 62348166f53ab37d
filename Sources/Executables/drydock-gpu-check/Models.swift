import Checkpoints
import Engines
import Execution
import Files
import JSON
import OrderedCollections
import Safetensors
import SystemPackage
import Tensors

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Sizes of a model of the Llama family, or of Qwen3 where heads are normed.
struct ModelShape {
  var hidden: Int
  var heads: Int
  var keyValueHeads: Int
  var headSize: Int
  var intermediate: Int
  var layers: Int
  var vocabulary: Int
  var positions = 4096
  var hasBiases = false
  var hasHeadNorms = false
  var sharesEmbedding = true

  /// The first fills no tile, panel or block; the second has the sizes of SmolLM2; the third another family, one KV head for
  /// more heads than a tile has, and the largest heads.
  static let checked = [
    ModelShape(hidden: 50, heads: 5, keyValueHeads: 1, headSize: 10, intermediate: 33, layers: 2, vocabulary: 37, hasBiases: true, sharesEmbedding: false),
    ModelShape(hidden: 576, heads: 9, keyValueHeads: 3, headSize: 64, intermediate: 1536, layers: 6, vocabulary: 4096),
    ModelShape(hidden: 256, heads: 20, keyValueHeads: 1, headSize: 256, intermediate: 512, layers: 3, vocabulary: 1000, hasHeadNorms: true),
  ]
  static let measured: [String: ModelShape] = [
    "tiny": checked[0],
    "135m": ModelShape(hidden: 576, heads: 9, keyValueHeads: 3, headSize: 64, intermediate: 1536, layers: 30, vocabulary: 49152),
    "1b": ModelShape(hidden: 2048, heads: 32, keyValueHeads: 8, headSize: 64, intermediate: 8192, layers: 16, vocabulary: 128_256, positions: 40960),
    "8b": ModelShape(
      hidden: 4096, heads: 32, keyValueHeads: 8, headSize: 128, intermediate: 14336, layers: 32, vocabulary: 128_256, positions: 40960,
      sharesEmbedding: false),
  ]

  var description: String {
    "\(layers) layers of \(hidden), \(heads)/\(keyValueHeads) heads of \(headSize)\(hasHeadNorms ? " normed" : "")\(hasBiases ? ", biases" : "")"
  }

  fileprivate var config: JSONValue {
    [
      "architecture": .string(hasHeadNorms ? "Qwen3ForCausalLM" : "LlamaForCausalLM"), "dtype": "bfloat16", "vocab_size": .int(vocabulary),
      "hidden_size": .int(hidden), "num_hidden_layers": .int(layers), "num_attention_heads": .int(heads),
      "num_key_value_heads": .int(keyValueHeads), "head_size": .int(headSize), "intermediate_size": .int(intermediate),
      "hidden_act": "silu", "norm_epsilon": .double(1e-5), "position_embedding_type": "rope_gpt_neox",
      "max_position_embeddings": .int(positions), "rotary_base": .double(10000), "tie_word_embeddings": .bool(sharesEmbedding),
      "attn_bias": .bool(hasBiases), "mlp_bias": .bool(hasBiases), "mapping": ["world_size": 1, "tp_size": 1, "pp_size": 1],
    ]
  }

  /// Tensors of a checkpoint, each with whether it is a norm, whose numbers lie around 1.
  fileprivate var tensors: [(name: String, shape: [Int], isNorm: Bool)] {
    var list: [(String, [Int], Bool)] = [("transformer.vocab_embedding.weight", [vocabulary, hidden], false)]
    let queries = heads * headSize, all = (heads + 2 * keyValueHeads) * headSize
    for layer in 0..<layers {
      let prefix = "transformer.layers.\(layer)."
      list.append((prefix + "input_layernorm.weight", [hidden], true))
      list.append((prefix + "post_layernorm.weight", [hidden], true))
      for (name, rows, columns) in [
        ("attention.qkv", all, hidden), ("attention.dense", hidden, queries), ("mlp.fc", intermediate, hidden), ("mlp.gate", intermediate, hidden),
        ("mlp.proj", hidden, intermediate),
      ] {
        list.append((prefix + name + ".weight", [rows, columns], false))
        if hasBiases { list.append((prefix + name + ".bias", [rows], false)) }
      }
      guard hasHeadNorms else { continue }
      for name in ["attention.q_layernorm.weight", "attention.k_layernorm.weight"] { list.append((prefix + name, [headSize], true)) }
    }
    list.append(("transformer.ln_f.weight", [hidden], true))
    if !sharesEmbedding { list.append(("lm_head.weight", [vocabulary, hidden], false)) }
    return list
  }

  /// A checkpoint of random numbers.
  func write(_ directory: FilePath, seed: UInt64) throws { try write(directory, "rank0.safetensors", config, tensors, seed: seed) }

  /// The same as a model is published: rows of bfloat16, a tensor for each product.
  func writePublished(_ directory: FilePath, seed: UInt64) throws { try write(directory, "model.safetensors", publishedConfig, publishedTensors, seed: seed) }

  private var publishedConfig: JSONValue {
    [
      "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "vocab_size": .int(vocabulary),
      "hidden_size": .int(hidden), "num_hidden_layers": .int(layers), "num_attention_heads": .int(heads),
      "num_key_value_heads": .int(keyValueHeads), "head_dim": .int(headSize), "intermediate_size": .int(intermediate), "hidden_act": "silu",
      "rms_norm_eps": .double(1e-5), "rope_theta": .double(10000), "max_position_embeddings": .int(positions),
      "tie_word_embeddings": .bool(sharesEmbedding), "attention_bias": .bool(hasBiases), "mlp_bias": .bool(hasBiases),
    ]
  }

  private var publishedTensors: [(name: String, shape: [Int], isNorm: Bool)] {
    var list: [(String, [Int], Bool)] = [("model.embed_tokens.weight", [vocabulary, hidden], false)]
    let queries = heads * headSize, keys = keyValueHeads * headSize
    for layer in 0..<layers {
      let prefix = "model.layers.\(layer)."
      for (name, rows, columns) in [
        ("self_attn.q_proj", queries, hidden), ("self_attn.k_proj", keys, hidden), ("self_attn.v_proj", keys, hidden), ("self_attn.o_proj", hidden, queries),
        ("mlp.gate_proj", intermediate, hidden), ("mlp.up_proj", intermediate, hidden), ("mlp.down_proj", hidden, intermediate),
      ] {
        list.append((prefix + name + ".weight", [rows, columns], false))
        if hasBiases { list.append((prefix + name + ".bias", [rows], false)) }
      }
      for name in ["input_layernorm.weight", "post_attention_layernorm.weight"] { list.append((prefix + name, [hidden], true)) }
    }
    list.append(("model.norm.weight", [hidden], true))
    if !sharesEmbedding { list.append(("lm_head.weight", [vocabulary, hidden], false)) }
    return list
  }

  private func write(
    _ directory: FilePath, _ name: String, _ config: JSONValue, _ tensors: [(name: String, shape: [Int], isNorm: Bool)], seed: UInt64
  ) throws {
    Scratch(directory).make()
    try AtomicFile.write(directory.appending("config.json"), bytes: Array(config.serialized().utf8))
    let file = try WritableFile(creating: directory.appending(name))
    let writer = try SafetensorsWriter(
      file: file, tensors: tensors.map { ($0.name, TensorDescription(shape: $0.shape, elementType: .bfloat16)) })
    // Numbers of about 1 / √inputs; a table of them that is read from another place for each row keeps this fast.
    var random = SplitMix(state: seed)
    let table = (0..<1 << 22).map { _ in Float(Int32(truncatingIfNeeded: random.next())) / Float(1 << 31) }
    for tensor in tensors {
      let scale = tensor.isNorm ? 0.3 : tensor.shape.count == 1 ? 0.1 : 1.7 / Float(tensor.shape[1]).squareRoot()
      let rounded = table.map { NumberFormat.bfloat16(from: (tensor.isNorm ? 1 : 0) + $0 * scale) }
      let columns = tensor.shape.count == 1 ? 1 : tensor.shape[1]
      let step = max(1, (4 << 20) / columns)
      for first in stride(from: 0, to: tensor.shape[0], by: step) {
        let rows = first..<min(first + step, tensor.shape[0])
        let start = Int(random.next() % UInt64(table.count))
        let bytes = unsafe [UInt16](unsafeUninitializedCapacity: rows.count * columns) { buffer, count in
          count = rows.count * columns
          for index in 0..<count { unsafe buffer[index] = rounded[(start + index) & (1 << 22 - 1)] }
        }
        try unsafe bytes.withUnsafeBytes { try unsafe writer.write(tensor.name, rows: rows, $0) }
      }
    }
  }
}

/// Random numbers that are the same everywhere.
struct SplitMix {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}

/// A directory that is removed in the end.
struct Scratch {
  let path: FilePath
  init(_ path: FilePath) { self.path = path }
  func callAsFunction(_ name: String) -> FilePath { path.appending(name) }
  func make(_ directory: FilePath? = nil) { _ = unsafe mkdir((directory ?? path).string, 0o700) }
  func remove(_ name: String? = nil) { Self.remove(name.map { path.appending($0) } ?? path) }

  private static func remove(_ path: FilePath) {
    guard Directory.kind(of: path) == .directory else { _ = unsafe unlink(path.string); return }
    for name in (try? Directory.names(in: path)) ?? [] { remove(path.appending(name)) }
    _ = unsafe rmdir(path.string)
  }
}

/// Builds engines of a model for both targets and opens them.
struct Models {
  let scratch: Scratch
  let cuda: any Backend
  let cpu: any Backend

  init(_ scratch: Scratch, cuda: any Backend, cpu: any Backend) { (self.scratch, self.cuda, self.cpu) = (scratch, cuda, cpu) }

  func write(_ shape: ModelShape, _ name: String, seed: UInt64) throws -> FilePath {
    scratch.make()
    try shape.write(scratch(name), seed: seed)
    return scratch(name)
  }

  func build(_ model: FilePath, _ name: String, _ backend: any Backend, positions: Int? = nil) async throws -> FilePath {
    scratch.make()
    var options = EngineBuilder.Options()
    options.scope = .all
    options.maximumSequenceLength = positions
    options.workers = Processors.count
    let source = try BuildSource(model, elementType: model.extension == "gguf" ? .bfloat16 : nil)
    let builder = EngineBuilder(options: options, target: backend.planTarget(threadCount: nil))
    _ = try await builder.write(try builder.prepare(source), of: source, to: scratch(name))
    return scratch(name)
  }

  func open(_ engine: FilePath, _ backend: any Backend, sequences: Int = 64, rows: Int = 512, cacheByteCount: Int? = nil) throws -> any OpenedEngine {
    var options = ExecutorOptions()
    options.maximumSequences = sequences
    options.maximumBatchRows = rows
    options.cacheByteCount = cacheByteCount
    return try backend.open(try EngineDirectory(engine), options: options)
  }
}
