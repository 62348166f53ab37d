extension ModelFamily {
  /// Llama 1 to 3, Mistral, SmolLM and everything else published in their format.
  ///
  /// TensorRT-LLM's `fc` is the activated branch (`gate_proj`), its `gate` the other (`up_proj`).
  static let llama = ModelFamily(
    name: "Llama",
    architectures: ["LlamaForCausalLM", "MistralForCausalLM"],
    modelTypes: ["llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM"],
    relatedArchitectures: ["InternLMForCausalLM", "SkyworkForCausalLM", "GraniteForCausalLM"],
    ggufArchitectures: ["llama"],
    tensors: [
      .init(name: "transformer.vocab_embedding.weight", place: .first, split: .embedding, parts: [
        .init(huggingFace: "model.embed_tokens.weight", gguf: "token_embd.weight", outputs: .vocabulary, inputs: .hidden)
      ]),
      norm("input_layernorm.weight", .layer, "model.layers.*.input_layernorm.weight", "blk.*.attn_norm.weight"),
      .init(name: "attention.qkv.weight", place: .layer, split: .outputs, parts: [
        .init(huggingFace: "model.layers.*.self_attn.q_proj.weight", gguf: "blk.*.attn_q.weight", outputs: .queries, inputs: .hidden, isRotated: true),
        .init(huggingFace: "model.layers.*.self_attn.k_proj.weight", gguf: "blk.*.attn_k.weight", outputs: .keyValues, inputs: .hidden, isRotated: true),
        .init(huggingFace: "model.layers.*.self_attn.v_proj.weight", gguf: "blk.*.attn_v.weight", outputs: .keyValues, inputs: .hidden),
      ]),
      .init(name: "attention.qkv.bias", place: .layer, split: .outputs, parts: [
        .init(huggingFace: "model.layers.*.self_attn.q_proj.bias", gguf: "blk.*.attn_q.bias", outputs: .queries, inputs: nil, isRotated: true),
        .init(huggingFace: "model.layers.*.self_attn.k_proj.bias", gguf: "blk.*.attn_k.bias", outputs: .keyValues, inputs: nil, isRotated: true),
        .init(huggingFace: "model.layers.*.self_attn.v_proj.bias", gguf: "blk.*.attn_v.bias", outputs: .keyValues, inputs: nil),
      ], feature: .attentionBias),
      linear("attention.dense", .inputs, "self_attn.o_proj", "attn_output", .hidden, .queries),
      bias("attention.dense", .none, "self_attn.o_proj", "attn_output", .hidden),
      norm("post_layernorm.weight", .layer, "model.layers.*.post_attention_layernorm.weight", "blk.*.ffn_norm.weight"),
      linear("mlp.fc", .outputs, "mlp.gate_proj", "ffn_gate", .intermediate, .hidden),
      bias("mlp.fc", .outputs, "mlp.gate_proj", "ffn_gate", .intermediate),
      linear("mlp.gate", .outputs, "mlp.up_proj", "ffn_up", .intermediate, .hidden),
      bias("mlp.gate", .outputs, "mlp.up_proj", "ffn_up", .intermediate),
      linear("mlp.proj", .inputs, "mlp.down_proj", "ffn_down", .hidden, .intermediate),
      bias("mlp.proj", .none, "mlp.down_proj", "ffn_down", .hidden),
      norm("transformer.ln_f.weight", .last, "model.norm.weight", "output_norm.weight"),
      .init(name: "lm_head.weight", place: .last, split: .outputs, parts: [
        .init(huggingFace: "lm_head.weight", gguf: "output.weight", outputs: .vocabulary, inputs: .hidden)
      ], tiedTo: "model.embed_tokens.weight"),
    ],
    ignoredSuffixes: ["rotary_emb.inv_freq"], ignoredNames: ["rope_freqs.weight"])

  /// What transformers 5 takes for keys that a configuration leaves out.
  struct Defaults {
    let positions: Int
    /// nil: as many as attention heads.
    let keyValueHeadCount: Int?
    let slidingWindow: Int?
    /// Whether the class asks for biases at all.
    let hasBiases: Bool
  }
  func defaults(of architecture: String) -> Defaults {
    architecture == "MistralForCausalLM"
      ? Defaults(positions: 131_072, keyValueHeadCount: 8, slidingWindow: 4096, hasBiases: false)
      : Defaults(positions: 2048, keyValueHeadCount: nil, slidingWindow: nil, hasBiases: true)
  }

  private static func norm(_ name: String, _ place: TensorRule.Place, _ huggingFace: String, _ gguf: String) -> TensorRule {
    .init(name: name, place: place, split: .none, parts: [.init(huggingFace: huggingFace, gguf: gguf, outputs: .hidden, inputs: nil)])
  }
  private static func linear(
    _ name: String, _ split: TensorRule.Split, _ huggingFace: String, _ gguf: String,
    _ outputs: ModelShape.Dimension, _ inputs: ModelShape.Dimension
  ) -> TensorRule {
    .init(name: "\(name).weight", place: .layer, split: split, parts: [
      .init(huggingFace: "model.layers.*.\(huggingFace).weight", gguf: "blk.*.\(gguf).weight", outputs: outputs, inputs: inputs)
    ])
  }
  private static func bias(
    _ name: String, _ split: TensorRule.Split, _ huggingFace: String, _ gguf: String, _ outputs: ModelShape.Dimension
  ) -> TensorRule {
    .init(name: "\(name).bias", place: .layer, split: split, parts: [
      .init(huggingFace: "model.layers.*.\(huggingFace).bias", gguf: "blk.*.\(gguf).bias", outputs: outputs, inputs: nil)
    ], feature: name.hasPrefix("attention") ? .attentionBias : .mlpBias)
  }
}
