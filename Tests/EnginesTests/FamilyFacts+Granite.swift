extension FamilyFacts {
  static let granite = FamilyFacts(
    name: "granite", refused: ["rotary: yarn": "rope_type"],
    warned: ["caps: of logits": ["final_logit_softcapping"], "positions: other embeddings": ["position_embedding_type"]])
}
