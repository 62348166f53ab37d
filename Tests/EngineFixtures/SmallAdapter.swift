import Files
import Safetensors
package import SystemPackage
import Tensors
package import TestSupport

/// A PEFT adapter of random numbers over two kinds of linear layers.
package enum SmallAdapter {
  package static func write(_ model: SmallModel, _ directory: TemporaryDirectory, _ name: String, seed: UInt64, alpha: String = "6") throws -> FilePath {
    makeDirectory(directory(name))
    directory.write(
      "\(name)/adapter_config.json",
      #"{"peft_type": "LORA", "r": 3, "lora_alpha": \#(alpha), "target_modules": ["o_proj", "down_proj"], "bias": "none"}"#)
    var random = SeededGenerator(seed: seed)
    var tensors: [(String, [Int], Matrix)] = []
    for layer in 0..<model.layers {
      for (module, inputs) in [("self_attn.o_proj", model.heads * model.headSize), ("mlp.down_proj", model.intermediate)] {
        let prefix = "base_model.model.model.layers.\(layer).\(module)."
        let a = Matrix(rows: 3, columns: inputs) { .random(in: -0.5...0.5, using: &random) }
        let b = Matrix(rows: model.hidden, columns: 3) { .random(in: -0.5...0.5, using: &random) }
        tensors += [(prefix + "lora_A.weight", [3, inputs], a), (prefix + "lora_B.weight", [model.hidden, 3], b)]
      }
    }
    let file = try WritableFile(creating: directory(name).appending("adapter_model.safetensors"))
    let writer = try SafetensorsWriter(
      file: file, tensors: tensors.map { ($0.0, TensorDescription(shape: $0.1, elementType: .float32)) })
    for tensor in tensors { try writer.write(tensor.0, tensor.2.bytes(.float32)) }
    try file.close()
    return directory(name)
  }
}
