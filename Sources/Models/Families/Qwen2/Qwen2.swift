extension ModelFamily {
  /// Qwen2 and Qwen2.5: as Llama, with biases of queries, keys and values alone; small ones tie their tables.
  ///
  /// Source: `Qwen2Config` and `Qwen2ForCausalLM` of transformers 5. GGUF files keep the rows of queries and keys in order.
  static let qwen2 = ModelFamily(
    name: "Qwen2",
    architectures: ["Qwen2ForCausalLM"],
    modelTypes: ["qwen2": "Qwen2ForCausalLM"],
    ggufArchitectures: ["qwen2"],
    ignoredSuffixes: ["rotary_emb.inv_freq"],
    checkpointFields: ["qwen_type": "qwen2"],
    defaults: { _ in
      ConfigurationDefaults(
        positions: 32_768, keyValueHeadCount: 32, slidingWindow: 4096, windowFlag: "use_sliding_window",
        firstWindowLayer: ("max_window_layers", 28), attentionBias: .always, mlpBias: .never)
    },
    decoder: DecoderStyle(denseBias: false, mlpBias: false, isRotated: false))
}
