extension ModelFamily {
  /// Qwen3, dense: as Llama, with norms of every query and key head, and a size of heads of its own; small ones tie their tables.
  ///
  /// Source: `Qwen3Config` and `Qwen3ForCausalLM` of transformers 5. GGUF files keep the rows of queries and keys in order.
  static let qwen3 = ModelFamily(
    name: "Qwen3",
    architectures: ["Qwen3ForCausalLM"],
    modelTypes: ["qwen3": "Qwen3ForCausalLM"],
    ggufArchitectures: ["qwen3"],
    ignoredSuffixes: ["rotary_emb.inv_freq"],
    checkpointFields: ["qwen_type": "qwen3", "qk_layernorm": true],
    defaults: { _ in
      ConfigurationDefaults(
        positions: 32_768, keyValueHeadCount: 32, headSize: 128, slidingWindow: 4096, windowFlag: "use_sliding_window",
        firstWindowLayer: ("max_window_layers", 28), mlpBias: .never)
    },
    decoder: DecoderStyle(denseBias: true, mlpBias: false, isRotated: false, headNorms: .each))
}
