extension ModelFamily {
  /// Qwen2 and Qwen2.5: as Llama, with biases of queries, keys and values alone; small ones tie their tables.
  ///
  /// Source: `Qwen2Config` and `Qwen2ForCausalLM` of transformers 5. GGUF files keep the rows of queries and keys in order.
  static let qwen2 = ModelFamily(
    name: "Qwen2",
    architectures: ["Qwen2ForCausalLM"],
    modelTypes: ["qwen2": "Qwen2ForCausalLM"],
    ggufArchitectures: ["qwen2"],
    tensors: [.table, .norm("input_layernorm.weight", .layer, "model.layers.*.input_layernorm.weight", "blk.*.attn_norm.weight")]
      + TensorRule.queriesKeysValues(isRotated: false) + [
        .linear("attention.dense", .inputs, "self_attn.o_proj", "attn_output", .hidden, .queries),
        .norm("post_layernorm.weight", .layer, "model.layers.*.post_attention_layernorm.weight", "blk.*.ffn_norm.weight"),
        .linear("mlp.fc", .outputs, "mlp.gate_proj", "ffn_gate", .intermediate, .hidden),
        .linear("mlp.gate", .outputs, "mlp.up_proj", "ffn_up", .intermediate, .hidden),
        .linear("mlp.proj", .inputs, "mlp.down_proj", "ffn_down", .hidden, .intermediate),
        .norm("transformer.ln_f.weight", .last, "model.norm.weight", "output_norm.weight"),
        .head,
      ],
    ignoredSuffixes: ["rotary_emb.inv_freq"],
    checkpointFields: ["qwen_type": "qwen2"],
    defaults: { _ in
      ConfigurationDefaults(
        positions: 32_768, keyValueHeadCount: 32, slidingWindow: 4096, windowFlag: "use_sliding_window",
        firstWindowLayer: ("max_window_layers", 28), attentionBias: .always, mlpBias: .never)
    },
    decoder: DecoderStyle(denseBias: false))
}
