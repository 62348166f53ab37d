extension ModelFamily {
  /// Gemma 3, and the text model of those that see images: layers with a window beside layers that see everything, four norms a layer
  /// whose weights are stored less 1, norms of every query and key head, embeddings times √hidden.
  ///
  /// Source: `Gemma3TextConfig` and `Gemma3ForCausalLM` of transformers 5, `gemma3.cpp` of llama.cpp: docs/gemma3.md.
  static let gemma3 = ModelFamily(
    name: "Gemma 3",
    architectures: ["Gemma3ForCausalLM"],
    modelTypes: ["gemma3_text": "Gemma3ForCausalLM"],
    wholeModels: [
      WholeModel(
        architecture: "Gemma3ForConditionalGeneration", modelType: "gemma3", textArchitecture: "Gemma3ForCausalLM",
        prefixes: [("language_model.model.", "model."), ("model.language_model.", "model."), ("language_model.lm_head.", "lm_head.")],
        otherPrefixes: ["vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."],
        otherKeys: [
          "vision_config", "mm_tokens_per_image", "boi_token_index", "eoi_token_index", "image_token_index", "image_token_id", "boi_token_id", "eoi_token_id",
        ])
    ],
    ggufArchitectures: ["gemma3"],
    ignoredSuffixes: ["rotary_emb.inv_freq"],
    checkpointFields: ["inter_layernorms": true, "qk_layernorm": true],
    defaults: { _ in
      ConfigurationDefaults(
        positions: 131_072,
        sizes: ["hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8, "vocab_size": 262_208],
        keyValueHeadCount: 4, headSize: 256, slidingWindow: 4096, activation: ("hidden_activation", "gelu_pytorch_tanh"), rotaryBase: 1e6, tiesEmbeddings: true,
        bidirectionalFlag: "use_bidirectional_attention", mlpBias: .never)
    },
    decoder: DecoderStyle(
      denseBias: true, mlpBias: false, isRotated: false, headNorms: .each, norms: .around, normOffset: 1, scalesEmbedding: true,
      layers: LayerDefaults(
        pattern: 6, localBase: 10_000, queryScalar: 256, logitSoftCap: .asked(nil), gguf: .init(hiddenScalarLayers: 62))))
}
