extension ModelFamily {
  /// Gemma 2: every other layer has a window, with the rotary base of the others; bounds of scores and logits; four norms a layer whose
  /// weights are stored less 1; embeddings times √hidden.
  ///
  /// Source: `Gemma2Config` and `Gemma2ForCausalLM` of transformers 5, `gemma2.cpp` of llama.cpp: docs/models.md.
  static let gemma2 = ModelFamily(
    name: "Gemma 2",
    architectures: ["Gemma2ForCausalLM"],
    modelTypes: ["gemma2": "Gemma2ForCausalLM"],
    ggufArchitectures: ["gemma2"],
    ignoredSuffixes: ["rotary_emb.inv_freq"],
    checkpointFields: ["inter_layernorms": true],
    defaults: { _ in
      ConfigurationDefaults(
        positions: 8192, keyValueHeadCount: 4, headSize: 256, slidingWindow: 4096, activation: ("hidden_activation", "gelu_pytorch_tanh"), tiesEmbeddings: true,
        bidirectionalFlag: "use_bidirectional_attention", mlpBias: .never)
    },
    decoder: DecoderStyle(
      denseBias: true, mlpBias: false, isRotated: false, norms: .around, normOffset: 1, scalesEmbedding: true,
      layers: LayerDefaults(
        pattern: 2, readsPattern: false, window: 4096, queryScalar: 256, logitSoftCap: .asked(30), scoreSoftCap: .asked(50),
        gguf: .init(hiddenScalarLayers: 46))))
}
