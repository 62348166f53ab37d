extension ModelFamily {
  /// Mixtral: as Mistral, with experts in every layer, whose shares are divided by their sum.
  ///
  /// Source: `MixtralConfig` and `MixtralForCausalLM` of transformers 5, `llama.cpp` of llama.cpp. GGUF files are those of a Llama with
  /// `expert_count`.
  static let mixtral = ModelFamily(
    name: "Mixtral",
    architectures: ["MixtralForCausalLM"],
    modelTypes: ["mixtral": "MixtralForCausalLM"],
    ggufArchitectures: ["llama"],
    ignoredSuffixes: ["rotary_emb.inv_freq"], ignoredNames: ["rope_freqs.weight"],
    defaults: { _ in
      ConfigurationDefaults(
        positions: 131_072, keyValueHeadCount: 8, takesWindow: true, rotaryBase: 1e6, normEpsilon: 1e-5, attentionBias: .never, mlpBias: .never)
    },
    decoder: DecoderStyle(
      denseBias: false, mlpBias: false, isRotated: true,
      experts: ExpertStyle(
        router: "block_sparse_moe.gate", gate: "block_sparse_moe.experts.#.w1", up: "block_sparse_moe.experts.#.w3",
        down: "block_sparse_moe.experts.#.w2",
        settings: .init(
          counts: ["num_experts", "num_local_experts"], count: 8, chosen: 2, normalizes: nil, width: nil, hasDenseLayers: false))))
}
