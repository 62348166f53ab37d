extension ModelFamily {
  /// SmolLM3: as Llama, with layers that do not turn queries and keys, every fourth where nothing says which.
  ///
  /// Source: `SmolLM3Config` and `SmolLM3ForCausalLM` of transformers 5, `smollm3.cpp` of llama.cpp: docs/models.md.
  static let smolLM3 = ModelFamily(
    name: "SmolLM3",
    architectures: ["SmolLM3ForCausalLM"],
    modelTypes: ["smollm3": "SmolLM3ForCausalLM"],
    ggufArchitectures: ["smollm3"],
    ignoredSuffixes: ["rotary_emb.inv_freq"], ignoredNames: ["rope_freqs.weight"],
    defaults: { _ in
      ConfigurationDefaults(
        positions: 32_768, keyValueHeadCount: 4, takesWindow: true, windowFlag: "use_sliding_window", unreadWindowKeys: ["max_window_layers"], rotaryBase: 2e6, tiesEmbeddings: true)
    },
    decoder: DecoderStyle(denseBias: true, mlpBias: true, isRotated: true, rotaryLayers: .listed(interval: 4)))
}
