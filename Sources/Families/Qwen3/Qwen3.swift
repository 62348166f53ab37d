extension ModelFamily {
  /// Qwen3, dense: as Llama, with norms of every query and key head, and a size of heads of its own; small ones tie their tables.
  ///
  /// Source: `Qwen3Config` and `Qwen3ForCausalLM` of transformers 5. GGUF files keep the rows of queries and keys in order.
  static let qwen3 = ModelFamily(
    name: "Qwen3",
    architectures: ["Qwen3ForCausalLM"],
    modelTypes: ["qwen3": "Qwen3ForCausalLM"],
    ggufArchitectures: ["qwen3"],
    tensors: [.table, .norm("input_layernorm.weight", .layer, "model.layers.*.input_layernorm.weight", "blk.*.attn_norm.weight")]
      + TensorRule.queriesKeysValues(isRotated: false) + [
        .headNorm("q_layernorm", "q_norm", "attn_q_norm"),
        .headNorm("k_layernorm", "k_norm", "attn_k_norm"),
        .linear("attention.dense", .inputs, "self_attn.o_proj", "attn_output", .hidden, .queries),
        .bias("attention.dense", .none, "self_attn.o_proj", "attn_output", .hidden),
        .norm("post_layernorm.weight", .layer, "model.layers.*.post_attention_layernorm.weight", "blk.*.ffn_norm.weight"),
        .linear("mlp.fc", .outputs, "mlp.gate_proj", "ffn_gate", .intermediate, .hidden),
        .linear("mlp.gate", .outputs, "mlp.up_proj", "ffn_up", .intermediate, .hidden),
        .linear("mlp.proj", .inputs, "mlp.down_proj", "ffn_down", .hidden, .intermediate),
        .norm("transformer.ln_f.weight", .last, "model.norm.weight", "output_norm.weight"),
        .head,
      ],
    ignoredSuffixes: ["rotary_emb.inv_freq"],
    checkpointFields: ["qwen_type": "qwen3", "qk_layernorm": true],
    defaults: { _ in
      ConfigurationDefaults(
        positions: 32_768, keyValueHeadCount: 32, headSize: 128, slidingWindow: 4096, windowFlag: "use_sliding_window",
        firstWindowLayer: ("max_window_layers", 28), mlpBias: .never)
    },
    decoder: DecoderStyle(denseBias: true, hasHeadNorms: true))
}
