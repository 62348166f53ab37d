/// What the tensors of a family's experts are called, and what its configuration says of them.
package struct ExpertStyle: Sendable {
  /// Modules within a layer, in Hugging Face's names; `#` stands for an expert's number.
  let router: String
  let gate: String
  let up: String
  let down: String
  /// What transformers 5 takes where a configuration says nothing, and where it looks.
  package let settings: Settings

  package struct Settings: Sendable {
    /// Keys of the number of experts; the first that is there counts.
    package var counts: [String]
    package var count: Int
    package var chosen: Int
    /// The key that says whether shares are divided by their sum, false by default; nil: they always are.
    package var normalizes: String?
    /// The key of an expert's width and its default; nil: that of an MLP.
    package var width: (key: String, size: Int)?
    /// Whether some layers may have an MLP (`decoder_sparse_step`, `mlp_only_layers`).
    package var hasDenseLayers: Bool
  }

  /// What transformers 5 calls the same modules, whatever the family is.
  private static let modules = (
    router: "mlp.gate", gate: "mlp.experts.#.gate_proj", up: "mlp.experts.#.up_proj", down: "mlp.experts.#.down_proj"
  )

  /// Pairs of what transformers calls a module within a layer and what the family's files call it, where the two differ.
  var renamed: [(transformers: String, own: String)] {
    let all = [(Self.modules.router, router), (Self.modules.gate, gate), (Self.modules.up, up), (Self.modules.down, down)]
    return all.filter { $0.0 != $0.1 }
  }

  /// What a stack of transformers' holds for each expert, one below the other: the family's own modules, and what stands in front of them.
  ///
  /// - Parameter name: Of a tensor; nil is given for any other.
  package func stack(_ name: String) -> (layer: String, modules: [String])? {
    for (ending, modules) in [("mlp.experts.gate_up_proj", [gate, up]), ("mlp.experts.down_proj", [down])] where name.hasSuffix("." + ending) {
      return (String(name.dropLast(ending.count)), modules)
    }
    return nil
  }

  /// The family's own name of a router that has transformers' name, where the two differ.
  package func routerName(_ name: String) -> String? {
    let ending = "\(Self.modules.router).weight"
    guard router != Self.modules.router, name.hasSuffix("." + ending) else { return nil }
    return "\(name.dropLast(ending.count))\(router).weight"
  }

  /// The tensors of layers with experts, after the norm: upstream's stacks, an expert's matrices below those of the one before.
  var tensors: [TensorRule] {
    func part(_ module: String, _ gguf: String, _ outputs: ModelShape.Dimension, _ inputs: ModelShape.Dimension) -> TensorRule.Part {
      .init(huggingFace: "model.layers.*.\(module).weight", gguf: "blk.*.\(gguf).weight", outputs: outputs, inputs: inputs)
    }
    let (gate, up) = (part(gate, "ffn_gate_exps", .expertIntermediate, .hidden), part(up, "ffn_up_exps", .expertIntermediate, .hidden))
    return [
      TensorRule(
        name: "mlp.router.weight", place: .layer, split: .none, parts: [part(router, "ffn_gate_inp", .experts, .hidden)], layers: .withExperts,
        isFloat32: true),
      TensorRule(name: "mlp.fc.weight", place: .layer, split: .outputs, parts: [up, gate], layers: .withExperts, isStack: true),
      TensorRule(
        name: "mlp.proj.weight", place: .layer, split: .inputs, parts: [part(down, "ffn_down_exps", .hidden, .expertIntermediate)],
        layers: .withExperts, isStack: true),
    ]
  }
}

extension ModelFamily {
  /// Modules that transformers knows by another name than the family's files, by that name.
  package func transformersModules(_ shape: ModelShape) -> [String: String] {
    guard let renamed = decoder.experts?.renamed, let experts = shape.experts else { return [:] }
    var modules: [String: String] = [:]
    for layer in 0..<shape.layerCount where !experts.denseLayers.contains(layer) {
      for (other, own) in renamed {
        for expert in 0..<(own.contains("#") ? experts.count : 1) {
          modules["model.layers.\(layer).\(other.ofExpert(expert))"] = "model.layers.\(layer).\(own.ofExpert(expert))"
        }
      }
    }
    return modules
  }
}
