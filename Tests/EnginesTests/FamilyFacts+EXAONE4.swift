extension FamilyFacts {
  static let exaone4 = FamilyFacts(
    name: "exaone4", refused: ["rotary: yarn": "rope_type", "norms: not there for keys": "k_norm.weight"],
    warned: [
      "bias: attention, declared": ["attention_bias"], "layers: their types": ["sliding_window_pattern"],
      "layers: none with a window": ["sliding_window_pattern"], "window: null, and no layer has one": ["sliding_window_pattern"],
    ])
}
