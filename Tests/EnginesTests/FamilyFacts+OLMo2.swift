extension FamilyFacts {
  static let olmo2 = FamilyFacts(
    name: "olmo2", refused: ["rotary: yarn": "rope_type", "norms: not there for keys": "k_norm.weight"],
    warned: ["bias: MLP, declared": ["mlp_bias"], "clip: of queries": ["clip_qkv"], "window: that it lacks": ["sliding_window"]])
}
