extension TensorRule {
  /// The embedding table.
  static let table = TensorRule(name: "transformer.vocab_embedding.weight", place: .first, split: .embedding, parts: [
    .init(huggingFace: "model.embed_tokens.weight", gguf: "token_embd.weight", outputs: .vocabulary, inputs: .hidden)
  ])
  /// The head, a copy of the table in models with tied embeddings.
  static let head = TensorRule(name: "lm_head.weight", place: .last, split: .outputs, parts: [
    .init(huggingFace: "lm_head.weight", gguf: "output.weight", outputs: .vocabulary, inputs: .hidden)
  ], tiedTo: "model.embed_tokens.weight")

  static func norm(_ name: String, _ place: Place, _ huggingFace: String, _ gguf: String) -> TensorRule {
    .init(name: name, place: place, split: .none, parts: [.init(huggingFace: huggingFace, gguf: gguf, outputs: .hidden, inputs: nil)])
  }

  /// A norm of every query head or every key head, the same on all ranks.
  static func headNorm(_ name: String, _ huggingFace: String, _ gguf: String) -> TensorRule {
    .init(name: "attention.\(name).weight", place: .layer, split: .none, parts: [
      .init(huggingFace: "model.layers.*.self_attn.\(huggingFace).weight", gguf: "blk.*.\(gguf).weight", outputs: .head, inputs: nil)
    ])
  }

  /// Queries, keys and values in one weight, and in one bias.
  ///
  /// - Parameter isRotated: Whether GGUF files hold the rows of queries and keys in another order.
  static func queriesKeysValues(isRotated: Bool) -> [TensorRule] {
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

  static func linear(
    _ name: String, _ split: Split, _ huggingFace: String, _ gguf: String, _ outputs: ModelShape.Dimension, _ inputs: ModelShape.Dimension
  ) -> TensorRule {
    .init(name: "\(name).weight", place: .layer, split: split, parts: [
      .init(huggingFace: "model.layers.*.\(huggingFace).weight", gguf: "blk.*.\(gguf).weight", outputs: outputs, inputs: inputs)
    ])
  }
  static func bias(
    _ name: String, _ split: Split, _ huggingFace: String, _ gguf: String, _ outputs: ModelShape.Dimension
  ) -> TensorRule {
    .init(name: "\(name).bias", place: .layer, split: split, parts: [
      .init(huggingFace: "model.layers.*.\(huggingFace).bias", gguf: "blk.*.\(gguf).bias", outputs: outputs, inputs: nil)
    ], feature: name.hasPrefix("attention") ? .attentionBias : .mlpBias)
  }
}
