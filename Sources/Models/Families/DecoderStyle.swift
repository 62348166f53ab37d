/// In what families differ whose networks are otherwise the same, and the tensors that follow from it.
package struct DecoderStyle: Sendable {
  /// Whether a model with biases of queries, keys and values has one of the output projection, too.
  package let denseBias: Bool
  package let headNorms: HeadNorms
  package let norms: NormPlaces
  /// Added to the weights of all norms in Hugging Face's files; see ``TensorRule/offset``.
  package let normOffset: Float
  /// Whether embeddings are multiplied by the square root of their width.
  package let scalesEmbedding: Bool
  /// What layers see where they differ in it.
  package let layers: LayerDefaults?
  package let rotaryLayers: RotaryLayers
  /// Those of the class, each place once.
  package let multipliers: [Multiplier]
  /// Of a family with mixtures of experts.
  package let experts: ExpertStyle?
  /// In the order of the network.
  package let tensors: [TensorRule]

  /// - Parameters:
  ///   - mlpBias: Whether a model may have biases in its MLP.
  ///   - isRotated: Whether GGUF files hold the rows of queries and keys in another order.
  init(
    denseBias: Bool, mlpBias: Bool, isRotated: Bool, headNorms: HeadNorms = .none, norms: NormPlaces = .before, normOffset: Float = 0,
    scalesEmbedding: Bool = false, layers: LayerDefaults? = nil, rotaryLayers: RotaryLayers = .all, multipliers: [Multiplier] = [],
    experts: ExpertStyle? = nil
  ) {
    self.denseBias = denseBias
    self.headNorms = headNorms
    self.norms = norms
    self.normOffset = normOffset
    self.scalesEmbedding = scalesEmbedding
    self.layers = layers
    self.rotaryLayers = rotaryLayers
    self.multipliers = multipliers
    self.experts = experts
    func bias(_ exists: Bool, _ name: String, _ split: TensorRule.Split, _ huggingFace: String, _ gguf: String, _ outputs: ModelShape.Dimension) -> [TensorRule] {
      exists ? [.bias(name, split, huggingFace, gguf, outputs)] : []
    }
    var rules: [TensorRule] = [.table]
    if norms != .after { rules.append(.norm("input_layernorm.weight", .layer, "model.layers.*.input_layernorm.weight", "blk.*.attn_norm.weight")) }
    rules += TensorRule.queriesKeysValues(isRotated: isRotated)
    if headNorms != .none {
      let isOne = headNorms == .each
      rules += [
        .headNorm("q_layernorm", "q_norm", "attn_q_norm", isOne ? .head : .queries), .headNorm("k_layernorm", "k_norm", "attn_k_norm", isOne ? .head : .keyValues),
      ]
    }
    rules.append(.linear("attention.dense", .inputs, "self_attn.o_proj", "attn_output", .hidden, .queries))
    rules += bias(denseBias, "attention.dense", .none, "self_attn.o_proj", "attn_output", .hidden)
    let postNorm = norms == .before ? "ffn_norm" : "post_attention_norm"
    rules.append(.norm("post_layernorm.weight", .layer, "model.layers.*.post_attention_layernorm.weight", "blk.*.\(postNorm).weight"))
    for (name, gguf, exists) in [("pre_feedforward_layernorm", "ffn_norm", norms == .around), ("post_feedforward_layernorm", "post_ffw_norm", norms != .before)] where exists {
      rules.append(.norm("\(name).weight", .layer, "model.layers.*.\(name).weight", "blk.*.\(gguf).weight"))
    }
    let mlp = rules.count
    rules.append(.linear("mlp.fc", .outputs, "mlp.gate_proj", "ffn_gate", .intermediate, .hidden))
    rules += bias(mlpBias, "mlp.fc", .outputs, "mlp.gate_proj", "ffn_gate", .intermediate)
    rules.append(.linear("mlp.gate", .outputs, "mlp.up_proj", "ffn_up", .intermediate, .hidden))
    rules += bias(mlpBias, "mlp.gate", .outputs, "mlp.up_proj", "ffn_up", .intermediate)
    rules.append(.linear("mlp.proj", .inputs, "mlp.down_proj", "ffn_down", .hidden, .intermediate))
    rules += bias(mlpBias, "mlp.proj", .none, "mlp.down_proj", "ffn_down", .hidden)
    if let experts {
      for index in mlp..<rules.count { rules[index].layers = .withoutExperts }
      rules += experts.tensors
    }
    rules += [.norm("transformer.ln_f.weight", .last, "model.norm.weight", "output_norm.weight"), .head]
    if normOffset != 0 {
      for index in rules.indices where rules[index].isNorm { rules[index].offset = normOffset }
    }
    tensors = rules
  }
}

extension TensorRule {
  /// The embedding table.
  fileprivate static let table = TensorRule(
    name: "transformer.vocab_embedding.weight", place: .first, split: .embedding,
    parts: [
      .init(huggingFace: "model.embed_tokens.weight", gguf: "token_embd.weight", outputs: .vocabulary, inputs: .hidden)
    ])
  /// The head, a copy of the table in models with tied embeddings.
  fileprivate static let head = TensorRule(
    name: "lm_head.weight", place: .last, split: .outputs,
    parts: [
      .init(huggingFace: "lm_head.weight", gguf: "output.weight", outputs: .vocabulary, inputs: .hidden)
    ], tiedTo: "model.embed_tokens.weight")

  fileprivate var isNorm: Bool { name.hasSuffix("norm.weight") || name.hasSuffix("ln_f.weight") }

  fileprivate static func norm(_ name: String, _ place: Place, _ huggingFace: String, _ gguf: String) -> TensorRule {
    .init(name: name, place: place, split: .none, parts: [.init(huggingFace: huggingFace, gguf: gguf, outputs: .hidden, inputs: nil)])
  }

  /// A norm of query heads or key heads, the same on all ranks.
  fileprivate static func headNorm(_ name: String, _ huggingFace: String, _ gguf: String, _ extent: ModelShape.Dimension) -> TensorRule {
    .init(
      name: "attention.\(name).weight", place: .layer, split: .none,
      parts: [
        .init(huggingFace: "model.layers.*.self_attn.\(huggingFace).weight", gguf: "blk.*.\(gguf).weight", outputs: extent, inputs: nil)
      ])
  }

  /// Queries, keys and values in one weight, and in one bias.
  ///
  /// - Parameter isRotated: Whether GGUF files hold the rows of queries and keys in another order.
  fileprivate static func queriesKeysValues(isRotated: Bool) -> [TensorRule] {
    func parts(_ kind: String, _ inputs: ModelShape.Dimension?) -> [Part] {
      [("q", ModelShape.Dimension.queries, isRotated), ("k", .keyValues, isRotated), ("v", .keyValues, false)].map { letter, outputs, isRotated in
        Part(
          huggingFace: "model.layers.*.self_attn.\(letter)_proj.\(kind)", gguf: "blk.*.attn_\(letter).\(kind)", outputs: outputs, inputs: inputs,
          isRotated: isRotated)
      }
    }
    return [
      .init(name: "attention.qkv.weight", place: .layer, split: .outputs, parts: parts("weight", .hidden)),
      .init(name: "attention.qkv.bias", place: .layer, split: .outputs, parts: parts("bias", nil), feature: .attentionBias),
    ]
  }

  fileprivate static func linear(
    _ name: String, _ split: Split, _ huggingFace: String, _ gguf: String, _ outputs: ModelShape.Dimension, _ inputs: ModelShape.Dimension
  ) -> TensorRule {
    .init(
      name: "\(name).weight", place: .layer, split: split,
      parts: [
        .init(huggingFace: "model.layers.*.\(huggingFace).weight", gguf: "blk.*.\(gguf).weight", outputs: outputs, inputs: inputs)
      ])
  }
  fileprivate static func bias(
    _ name: String, _ split: Split, _ huggingFace: String, _ gguf: String, _ outputs: ModelShape.Dimension
  ) -> TensorRule {
    .init(
      name: "\(name).bias", place: .layer, split: split,
      parts: [
        .init(huggingFace: "model.layers.*.\(huggingFace).bias", gguf: "blk.*.\(gguf).bias", outputs: outputs, inputs: nil)
      ], feature: name.hasPrefix("attention") ? .attentionBias : .mlpBias)
  }
}
