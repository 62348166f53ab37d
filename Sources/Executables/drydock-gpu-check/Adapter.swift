import Files
import JSON
import Safetensors
import SystemPackage
import Tensors

/// A LoRA adapter of random numbers on every product of a model's layers, as PEFT writes one.
struct Adapter {
  let shape: ModelShape
  var rank = 8

  private var products: [(name: String, outputs: Int, inputs: Int)] {
    let queries = shape.heads * shape.headSize, keys = shape.keyValueHeads * shape.headSize
    return [
      ("self_attn.q_proj", queries, shape.hidden), ("self_attn.k_proj", keys, shape.hidden), ("self_attn.v_proj", keys, shape.hidden),
      ("self_attn.o_proj", shape.hidden, queries), ("mlp.gate_proj", shape.intermediate, shape.hidden),
      ("mlp.up_proj", shape.intermediate, shape.hidden), ("mlp.down_proj", shape.hidden, shape.intermediate),
    ]
  }

  func write(_ directory: FilePath, seed: UInt64) throws {
    Scratch(directory).make()
    let modules = products.compactMap { $0.name.split(separator: ".").last.map { JSONValue.string(String($0)) } }
    let config: JSONValue = [
      "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": .int(rank), "lora_alpha": .double(Double(rank) * 1.3), "bias": "none", "lora_dropout": .double(0),
      "fan_in_fan_out": .bool(false), "target_modules": .array(modules),
    ]
    try AtomicFile.write(directory.appending("adapter_config.json"), bytes: Array(config.serialized().utf8))
    var tensors: [(name: String, shape: [Int])] = []
    for layer in 0..<shape.layers {
      for product in products {
        let prefix = "base_model.model.model.layers.\(layer).\(product.name)."
        tensors.append((prefix + "lora_A.weight", [rank, product.inputs]))
        tensors.append((prefix + "lora_B.weight", [product.outputs, rank]))
      }
    }
    let writer = try SafetensorsWriter(
      file: try WritableFile(creating: directory.appending("adapter_model.safetensors")),
      tensors: tensors.map { ($0.name, TensorDescription(shape: $0.shape, elementType: .float32)) })
    var random = SplitMix(state: seed)
    for tensor in tensors {
      let scale = 0.7 / Float(tensor.shape[1]).squareRoot()
      var values = (0..<tensor.shape[0] * tensor.shape[1]).map { _ in scale * Float(Int32(truncatingIfNeeded: random.next())) / Float(1 << 31) }
      try unsafe values.withUnsafeMutableBytes { try unsafe writer.write(tensor.name, rows: 0..<tensor.shape[0], UnsafeRawBufferPointer($0)) }
    }
  }
}
