extension FamilyFacts {
  static let smolLM3 = FamilyFacts(
    name: "smollm3", refused: ["rotary: yarn": "rope_type"],
    warned: ["tied: not said": ["tie_word_embeddings"], "turned: list against the interval": ["no_rope_layer_interval"], "turned: longer list": ["no_rope_layer_interval"]])
}
