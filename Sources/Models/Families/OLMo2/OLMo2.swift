extension ModelFamily {
  /// OLMo 2: norms of what attention and MLP give, none of what they take, and norms over all heads of queries and of keys, so that a
  /// layer stays on one rank.
  ///
  /// Source: `Olmo2Config` and `Olmo2ForCausalLM` of transformers 5, `olmo2.cpp` of llama.cpp: docs/models.md.
  static let olmo2 = ModelFamily(
    name: "OLMo 2",
    architectures: ["Olmo2ForCausalLM"],
    modelTypes: ["olmo2": "Olmo2ForCausalLM"],
    ggufArchitectures: ["olmo2"],
    ignoredSuffixes: ["rotary_emb.inv_freq"],
    checkpointFields: ["qk_layernorm": true],
    defaults: { _ in ConfigurationDefaults(positions: 2048, normEpsilon: 1e-5, mlpBias: .never) },
    decoder: DecoderStyle(denseBias: true, mlpBias: false, isRotated: false, headNorms: .together, norms: .after))
}
