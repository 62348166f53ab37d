extension FamilyFacts {
  static let gemma2 = FamilyFacts(
    name: "gemma2",
    refused: [
      "rotary: yarn": "rope_type", "caps: of scores, zero": "attn_logit_softcapping", "direction: both": "use_bidirectional_attention",
    ],
    taken: ["window: null, and no layer has one"],
    warned: [
      "tied: not said": ["tie_word_embeddings"], "layers: a pattern": ["sliding_window_pattern"], "activation: hidden_act beside it": ["hidden_act"],
      "rotary: a base of its own for windows": ["rope_local_base_freq"],
    ])
}
