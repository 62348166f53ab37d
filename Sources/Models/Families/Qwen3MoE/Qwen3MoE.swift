extension ModelFamily {
  /// Qwen3 with mixtures of experts: attention as Qwen3's, and layers of experts, with layers that have one MLP where the
  /// configuration says so. Of the chosen experts' shares some models divide by the sum, others do not.
  ///
  /// Source: `Qwen3MoeConfig` and `Qwen3MoeForCausalLM` of transformers 5, `qwen3moe.cpp` of llama.cpp, where every layer has experts
  /// and shares are always divided: docs/mixture-of-experts.md.
  static let qwen3MoE = ModelFamily(
    name: "Qwen3 MoE",
    architectures: ["Qwen3MoeForCausalLM"],
    modelTypes: ["qwen3_moe": "Qwen3MoeForCausalLM"],
    ggufArchitectures: ["qwen3moe"],
    ignoredSuffixes: ["rotary_emb.inv_freq"],
    checkpointFields: ["qwen_type": "qwen3_moe", "qk_layernorm": true],
    defaults: { _ in
      ConfigurationDefaults(
        positions: 32_768, keyValueHeadCount: 4, slidingWindow: 4096, windowFlag: "use_sliding_window", unreadWindowKeys: ["max_window_layers"],
        mlpBias: .never)
    },
    decoder: DecoderStyle(
      denseBias: true, mlpBias: false, isRotated: false, headNorms: .each,
      experts: ExpertStyle(
        router: "mlp.gate", gate: "mlp.experts.#.gate_proj", up: "mlp.experts.#.up_proj", down: "mlp.experts.#.down_proj",
        settings: .init(
          counts: ["num_local_experts", "num_experts"], count: 128, chosen: 8, normalizes: "norm_topk_prob",
          width: ("moe_intermediate_size", 768), hasDenseLayers: true))))
}
