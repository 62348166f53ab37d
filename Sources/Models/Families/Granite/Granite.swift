extension ModelFamily {
  /// Granite 3, dense: as Llama, with factors of embeddings, scores, what layers add, and logits.
  ///
  /// Source: `GraniteConfig` and `GraniteForCausalLM` of transformers 5, `granite.cpp` of llama.cpp: docs/models.md.
  static let granite = ModelFamily(
    name: "Granite",
    architectures: ["GraniteForCausalLM"],
    modelTypes: ["granite": "GraniteForCausalLM"],
    ggufArchitectures: ["granite"],
    ignoredSuffixes: ["rotary_emb.inv_freq"], ignoredNames: ["rope_freqs.weight"],
    defaults: { _ in ConfigurationDefaults(positions: 2048) },
    decoder: DecoderStyle(
      denseBias: true, mlpBias: true, isRotated: true,
      multipliers: [
        Multiplier(place: .embedding, key: "embedding_multiplier", gguf: "embedding_scale"),
        Multiplier(place: .scores, key: "attention_multiplier", gguf: "attention.scale"),
        Multiplier(place: .residual, key: "residual_multiplier", gguf: "residual_scale"),
        Multiplier(place: .logits, key: "logits_scaling", gguf: "logit_scale", divides: true),
      ]),
    ggufRotarySwitch: "rope.scaling.finetuned")
}
