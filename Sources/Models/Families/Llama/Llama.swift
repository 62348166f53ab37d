extension ModelFamily {
  /// Llama 1 to 3, Mistral, SmolLM and everything else published in their format.
  ///
  /// TensorRT-LLM's `fc` is the activated branch (`gate_proj`), its `gate` the other (`up_proj`).
  static let llama = ModelFamily(
    name: "Llama",
    architectures: ["LlamaForCausalLM", "MistralForCausalLM"],
    modelTypes: ["llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM"],
    relatedArchitectures: ["InternLMForCausalLM", "SkyworkForCausalLM"],
    buildable: ["InternLMForCausalLM", "SkyworkForCausalLM"],
    ggufArchitectures: ["llama"],
    ignoredSuffixes: ["rotary_emb.inv_freq"], ignoredNames: ["rope_freqs.weight"],
    defaults: { architecture in
      architecture == "MistralForCausalLM"
        ? ConfigurationDefaults(positions: 131_072, keyValueHeadCount: 8, slidingWindow: 4096, attentionBias: .never, mlpBias: .never)
        : ConfigurationDefaults(positions: 2048)
    },
    decoder: DecoderStyle(denseBias: true, mlpBias: true, isRotated: true))
}
