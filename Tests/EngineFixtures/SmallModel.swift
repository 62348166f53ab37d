import Files
package import JSON
import Safetensors
package import SystemPackage
package import Tensors
package import TestSupport
import Testing

/// A Llama checkpoint of random numbers, written as the format says and by nobody's converter.
package struct SmallModel: CustomTestStringConvertible, Sendable {
  package var hidden: Int
  package var heads: Int
  package var keyValueHeads: Int
  package var headSize: Int
  package var intermediate: Int
  package var layers: Int
  package var vocabulary: Int
  package var type: ElementType
  package var tensorParallel: Int
  package var pipelineParallel: Int
  /// lm_head is a copy of the embedding table.
  package var tied: Bool
  package var biases: Bool
  package var parallelEmbedding: Int?
  /// More members of the configuration, or other values.
  package var members: JSONObject

  package init(
    hidden: Int = 48, heads: Int = 4, keyValueHeads: Int = 2, headSize: Int = 12, intermediate: Int = 40, layers: Int = 3,
    vocabulary: Int = 37, type: ElementType = .bfloat16, tensorParallel: Int = 1, pipelineParallel: Int = 1,
    tied: Bool = true, biases: Bool = false, parallelEmbedding: Int? = nil, members: JSONObject = [:]
  ) {
    (self.hidden, self.heads, self.keyValueHeads, self.headSize) = (hidden, heads, keyValueHeads, headSize)
    (self.intermediate, self.layers, self.vocabulary, self.type) = (intermediate, layers, vocabulary, type)
    (self.tensorParallel, self.pipelineParallel, self.parallelEmbedding) = (tensorParallel, pipelineParallel, parallelEmbedding)
    (self.tied, self.biases, self.members) = (tied, biases, members)
  }

  package var testDescription: String {
    "\(type.rawValue) tp \(tensorParallel) pp \(pipelineParallel)\(tied ? " tied" : "")\(biases ? " biases" : "")"
      + (parallelEmbedding.map { " embedding split by \($0)" } ?? "")
  }

  /// Every element type, every way of sharding, with sizes that fill no panel.
  package static let all: [SmallModel] = [
    SmallModel(),
    SmallModel(type: .float16, tied: false),
    SmallModel(type: .float32, biases: true),
    SmallModel(hidden: 50, heads: 5, keyValueHeads: 1, headSize: 10, intermediate: 33, layers: 1, vocabulary: 19, tied: false),
    SmallModel(tensorParallel: 2),
    SmallModel(type: .float32, tensorParallel: 4, tied: false, biases: true),
    SmallModel(type: .float16, pipelineParallel: 2, biases: true),
    SmallModel(tensorParallel: 2, pipelineParallel: 2, parallelEmbedding: 0),
    SmallModel(type: .float32, tensorParallel: 2, parallelEmbedding: 1),
  ]

  package var config: JSONValue {
    var members: JSONObject = [
      "architecture": "LlamaForCausalLM", "dtype": .string(type.configName ?? ""), "vocab_size": .int(vocabulary),
      "hidden_size": .int(hidden), "num_hidden_layers": .int(layers), "num_attention_heads": .int(heads),
      "num_key_value_heads": .int(keyValueHeads), "head_size": .int(headSize), "intermediate_size": .int(intermediate),
      "hidden_act": "silu", "norm_epsilon": .double(1e-5), "position_embedding_type": "rope_gpt_neox",
      "max_position_embeddings": 128, "rotary_base": .double(10000), "tie_word_embeddings": .bool(tied),
      "attn_bias": .bool(biases), "mlp_bias": .bool(biases),
      "mapping": [
        "world_size": .int(tensorParallel * pipelineParallel), "tp_size": .int(tensorParallel), "pp_size": .int(pipelineParallel),
      ],
    ]
    if let parallelEmbedding {
      members["use_parallel_embedding"] = true
      members["embedding_sharding_dim"] = .int(parallelEmbedding)
    }
    members.merge(self.members) { $1 }
    return .object(members)
  }

  /// One whole model's tensors as float32, before sharding: name to rows and columns.
  private func whole(_ seed: UInt64) -> [String: Matrix] {
    var random = SeededGenerator(seed: seed)
    func matrix(_ rows: Int, _ columns: Int, around center: Float = 0) -> Matrix {
      Matrix(rows: rows, columns: columns) { center + Float.random(in: -0.25...0.25, using: &random) }
    }
    var tensors: [String: Matrix] = ["embedding": matrix(vocabulary, hidden), "ln_f": matrix(1, hidden, around: 1)]
    tensors["lm_head"] = tied ? tensors["embedding"] : matrix(vocabulary, hidden)
    for layer in 0..<layers {
      let (q, kv) = (heads * headSize, keyValueHeads * headSize)
      for (name, rows, columns) in [
        ("q", q, hidden), ("k", kv, hidden), ("v", kv, hidden), ("dense", hidden, q), ("fc", intermediate, hidden),
        ("gate", intermediate, hidden), ("proj", hidden, intermediate),
      ] {
        tensors["\(layer).\(name)"] = matrix(rows, columns)
        tensors["\(layer).\(name).bias"] = matrix(1, rows)
      }
      tensors["\(layer).input_layernorm"] = matrix(1, hidden, around: 1)
      tensors["\(layer).post_layernorm"] = matrix(1, hidden, around: 1)
    }
    return tensors
  }

  /// The tensors of one rank, by the rules of the format.
  package func tensors(rank: Int, seed: UInt64) -> [(name: String, shape: [Int], matrix: Matrix)] {
    let whole = whole(seed)
    let (t, stage) = (rank % tensorParallel, rank / tensorParallel)
    let share = layers / pipelineParallel, extra = layers % pipelineParallel
    let first = stage * share + min(stage, extra)
    var result: [(String, [Int], Matrix)] = []
    func add(_ name: String, _ matrix: Matrix, vector: Bool = false) {
      result.append((name, vector ? [matrix.columns] : [matrix.rows, matrix.columns], matrix))
    }
    func rows(_ name: String) -> Matrix {  // column-parallel: split the outputs
      let matrix = whole[name]!
      return matrix.rows(matrix.rows * t / tensorParallel..<matrix.rows * (t + 1) / tensorParallel)
    }
    func columns(_ matrix: Matrix) -> Matrix {
      matrix.columns(matrix.columns * t / tensorParallel..<matrix.columns * (t + 1) / tensorParallel)
    }
    func keyValue(_ name: String) -> Matrix {
      guard keyValueHeads < tensorParallel else { return rows(name) }
      let head = t * keyValueHeads / tensorParallel
      return whole[name]!.rows(head * headSize..<(head + 1) * headSize)
    }
    if stage == 0 {
      let table = whole["embedding"]!
      switch parallelEmbedding {
      case 0:
        let each = (vocabulary + tensorParallel - 1) / tensorParallel
        add("transformer.vocab_embedding.weight", table.padded(to: each * tensorParallel).rows(each * t..<each * (t + 1)))
      case 1: add("transformer.vocab_embedding.weight", columns(table))
      default: add("transformer.vocab_embedding.weight", table)
      }
    }
    for local in 0..<share + (stage < extra ? 1 : 0) {
      let (from, to) = ("\(first + local).", "transformer.layers.\(local).")
      func bias(_ name: String) -> Matrix {  // [1, n] as [n, 1] to split its outputs, and back
        columns(whole[from + name + ".bias"]!)
      }
      add(to + "input_layernorm.weight", whole[from + "input_layernorm"]!, vector: true)
      add(to + "attention.qkv.weight", .stacked([rows(from + "q"), keyValue(from + "k"), keyValue(from + "v")]))
      add(to + "attention.dense.weight", columns(whole[from + "dense"]!))
      add(to + "post_layernorm.weight", whole[from + "post_layernorm"]!, vector: true)
      add(to + "mlp.fc.weight", rows(from + "fc"))
      add(to + "mlp.gate.weight", rows(from + "gate"))
      add(to + "mlp.proj.weight", columns(whole[from + "proj"]!))
      if biases {
        func keyValueBias(_ name: String) -> Matrix {
          guard keyValueHeads < tensorParallel else { return bias(name) }
          let head = t * keyValueHeads / tensorParallel
          return whole[from + name + ".bias"]!.columns(head * headSize..<(head + 1) * headSize)
        }
        let parts = [bias("q"), keyValueBias("k"), keyValueBias("v")]
        add(to + "attention.qkv.bias", Matrix(rows: 1, columns: parts.reduce(0) { $0 + $1.columns }, values: parts.flatMap(\.values)), vector: true)
        add(to + "attention.dense.bias", whole[from + "dense.bias"]!, vector: true)
        add(to + "mlp.fc.bias", bias("fc"), vector: true)
        add(to + "mlp.gate.bias", bias("gate"), vector: true)
        add(to + "mlp.proj.bias", whole[from + "proj.bias"]!, vector: true)
      }
    }
    if stage == pipelineParallel - 1 {
      add("transformer.ln_f.weight", whole["ln_f"]!, vector: true)
      let each = (vocabulary + tensorParallel - 1) / tensorParallel
      add("lm_head.weight", whole["lm_head"]!.padded(to: each * tensorParallel).rows(each * t..<each * (t + 1)))
    }
    return result
  }

  /// Writes the checkpoint and gives its path.
  @discardableResult
  package func write(_ directory: TemporaryDirectory, _ name: String, seed: UInt64, editing edit: (inout [(name: String, shape: [Int], matrix: Matrix)]) -> Void = { _ in }) throws -> FilePath {
    let path = directory(name)
    makeDirectory(path)
    directory.write("\(name)/config.json", config.serialized(indent: 4))
    directory.write("\(name)/tokenizer.json", "{}")
    for rank in 0..<tensorParallel * pipelineParallel {
      var tensors = tensors(rank: rank, seed: seed)
      edit(&tensors)
      let file = try WritableFile(creating: path.appending("rank\(rank).safetensors"))
      let writer = try SafetensorsWriter(
        file: file, tensors: tensors.map { ($0.name, TensorDescription(shape: $0.shape, elementType: type)) })
      for tensor in tensors { try writer.write(tensor.name, tensor.matrix.bytes(type)) }
      try file.close()
    }
    return path
  }
}
