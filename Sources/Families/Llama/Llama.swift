extension ModelFamily {
  /// Llama 1 to 3, Mistral, SmolLM and everything else published in their format.
  ///
  /// TensorRT-LLM's `fc` is the activated branch (`gate_proj`), its `gate` the other (`up_proj`).
  static let llama = ModelFamily(
    name: "Llama",
    architectures: ["LlamaForCausalLM", "MistralForCausalLM"],
    modelTypes: ["llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM"],
    // Granite's checkpoints have the same tensors, but scale residuals and logits, which no operation here does.
    relatedArchitectures: ["InternLMForCausalLM", "SkyworkForCausalLM", "GraniteForCausalLM"],
    buildable: ["InternLMForCausalLM", "SkyworkForCausalLM"],
    ggufArchitectures: ["llama"],
    tensors: [.table, .norm("input_layernorm.weight", .layer, "model.layers.*.input_layernorm.weight", "blk.*.attn_norm.weight")]
      + TensorRule.queriesKeysValues(isRotated: true) + [
        .linear("attention.dense", .inputs, "self_attn.o_proj", "attn_output", .hidden, .queries),
        .bias("attention.dense", .none, "self_attn.o_proj", "attn_output", .hidden),
        .norm("post_layernorm.weight", .layer, "model.layers.*.post_attention_layernorm.weight", "blk.*.ffn_norm.weight"),
        .linear("mlp.fc", .outputs, "mlp.gate_proj", "ffn_gate", .intermediate, .hidden),
        .bias("mlp.fc", .outputs, "mlp.gate_proj", "ffn_gate", .intermediate),
        .linear("mlp.gate", .outputs, "mlp.up_proj", "ffn_up", .intermediate, .hidden),
        .bias("mlp.gate", .outputs, "mlp.up_proj", "ffn_up", .intermediate),
        .linear("mlp.proj", .inputs, "mlp.down_proj", "ffn_down", .hidden, .intermediate),
        .bias("mlp.proj", .none, "mlp.down_proj", "ffn_down", .hidden),
        .norm("transformer.ln_f.weight", .last, "model.norm.weight", "output_norm.weight"),
        .head,
      ],
    ignoredSuffixes: ["rotary_emb.inv_freq"], ignoredNames: ["rope_freqs.weight"],
    defaults: { architecture in
      architecture == "MistralForCausalLM"
        ? ConfigurationDefaults(positions: 131_072, keyValueHeadCount: 8, slidingWindow: 4096, attentionBias: .never, mlpBias: .never)
        : ConfigurationDefaults(positions: 2048)
    },
    decoder: DecoderStyle(denseBias: true))
}
