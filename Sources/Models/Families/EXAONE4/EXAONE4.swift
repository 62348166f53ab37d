extension ModelFamily {
  /// EXAONE 4: norms of what attention and MLP give, and of every query and key head; in models with windows every fourth layer sees
  /// everything, and those alone that have a window turn queries and keys.
  ///
  /// Source: `Exaone4Config` and `Exaone4ForCausalLM` of transformers 5, `exaone4.cpp` of llama.cpp, where only a model of 64 layers has
  /// windows: docs/models.md.
  static let exaone4 = ModelFamily(
    name: "EXAONE 4",
    architectures: ["Exaone4ForCausalLM"],
    modelTypes: ["exaone4": "Exaone4ForCausalLM"],
    ggufArchitectures: ["exaone4"],
    ignoredSuffixes: ["rotary_emb.inv_freq"], ignoredNames: ["rope_freqs.weight"],
    checkpointFields: ["qk_layernorm": true],
    defaults: { _ in
      ConfigurationDefaults(positions: 2048, keyValueHeadCount: 32, slidingWindow: 4096, normEpsilon: 1e-5, attentionBias: .never, mlpBias: .never)
    },
    decoder: DecoderStyle(
      denseBias: false, mlpBias: false, isRotated: false, headNorms: .each, norms: .after,
      layers: LayerDefaults(pattern: 4, gguf: .init(windowedLayers: 64)), rotaryLayers: .windowed))
}
