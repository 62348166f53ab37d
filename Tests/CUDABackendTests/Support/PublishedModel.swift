import EngineFixtures
import Files
import JSON
import Safetensors
import SystemPackage
import Tensors
import TestSupport

extension SmallModel {
  /// The same numbers as ``write(_:_:seed:editing:)`` as a model is published, with a tensor for each product.
  @discardableResult
  func writePublished(_ directory: TemporaryDirectory, _ name: String, seed: UInt64, type: ElementType) throws -> FilePath {
    makeDirectory(directory(name))
    let config: JSONValue = [
      "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": .string(type.configName ?? ""), "vocab_size": .int(vocabulary),
      "hidden_size": .int(hidden), "num_hidden_layers": .int(layers), "num_attention_heads": .int(heads),
      "num_key_value_heads": .int(keyValueHeads), "head_dim": .int(headSize), "intermediate_size": .int(intermediate), "hidden_act": "silu",
      "rms_norm_eps": .double(1e-5), "rope_theta": .double(10000), "max_position_embeddings": .int(128), "tie_word_embeddings": .bool(tied),
      "attention_bias": .bool(biases), "mlp_bias": .bool(biases),
    ]
    directory.write("\(name)/config.json", config.serialized())
    var tensors: [(name: String, shape: [Int], matrix: Matrix)] = []
    for tensor in self.tensors(rank: 0, seed: seed) {
      let isVector = tensor.shape.count == 1
      func add(_ name: String, _ rows: Range<Int>? = nil) {
        let part = rows.map { isVector ? tensor.matrix.columns($0) : tensor.matrix.rows($0) } ?? tensor.matrix
        tensors.append((name, isVector ? [part.columns] : [part.rows, part.columns], part))
      }
      let name = tensor.name.replacing("transformer.", with: "model.")
      let (q, kv) = (heads * headSize, keyValueHeads * headSize)
      if name.contains("attention.qkv.") {
        add(name.replacing("attention.qkv", with: "self_attn.q_proj"), 0..<q)
        add(name.replacing("attention.qkv", with: "self_attn.k_proj"), q..<q + kv)
        add(name.replacing("attention.qkv", with: "self_attn.v_proj"), q + kv..<q + 2 * kv)
      } else if name == "lm_head.weight" {
        if !tied { add(name) }
      } else {
        // TensorRT-LLM calls the product gate that Hugging Face calls up, and the other fc.
        let renamed = [
          ("vocab_embedding", "embed_tokens"), ("ln_f", "norm"), ("attention.dense", "self_attn.o_proj"), ("mlp.proj", "mlp.down_proj"),
          ("mlp.gate", "mlp.up_proj"), ("mlp.fc", "mlp.gate_proj"), ("post_layernorm", "post_attention_layernorm"),
        ].reduce(name) { $0.replacing($1.0, with: $1.1) }
        add(renamed)
      }
    }
    let file = try WritableFile(creating: directory(name).appending("model.safetensors"))
    let writer = try SafetensorsWriter(file: file, tensors: tensors.map { ($0.name, TensorDescription(shape: $0.shape, elementType: type)) })
    for tensor in tensors { try writer.write(tensor.name, tensor.matrix.bytes(type)) }
    try file.close()
    return directory(name)
  }
}
