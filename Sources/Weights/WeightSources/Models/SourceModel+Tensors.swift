import Families
import Tensors

extension SourceModel {
  /// What the tensors say beside the configuration: which table is the head, which biases there are, which names they go by.
  ///
  /// - Parameters:
  ///   - tensors: Under Hugging Face's names.
  ///   - file: Where the configuration stands, for messages.
  ///   - comparesTables: Whether a head beside the table is looked at where the model is declared tied; without that it
  ///     stays declared so, and the head counts as it stands.
  /// - Returns: The tensors as the family asks for them.
  /// - Throws: ``WeightSourceError`` where they contradict the configuration, and what was meant is not known.
  mutating func reconcile(
    with tensors: any NamedTensors, configuration file: String, comparesTables: Bool
  ) throws -> any NamedTensors {
    var completed = CompletedTensors(base: tensors)
    try reconcileTables(&completed, file, compares: comparesTables)
    try reconcileBiases(&completed, file)
    return completed.isTrivial ? tensors : completed
  }

  private static let table = "model.embed_tokens.weight"
  private static let head = "lm_head.weight"

  private mutating func reconcileTables(_ tensors: inout CompletedTensors, _ file: String, compares: Bool) throws {
    let (table, head) = (tensors.description(of: Self.table), tensors.description(of: Self.head))
    guard tiesEmbeddings else { return }  // a head that is missing is reported with all else that is
    guard head != nil else { return }
    guard table != nil else {
      tensors.aliases[Self.table] = Self.head
      return
    }
    guard compares, try !TableComparison.equal(Self.table, Self.head, in: tensors, as: elementType) else { return }
    tiesEmbeddings = false
    warnings.append(
      SourceWarning(
        "tie_word_embeddings", in: file, "is true, but '\(Self.head)' differs from '\(Self.table)': both are used, as in transformers. Set it to false in \(file)"))
  }

  private mutating func reconcileBiases(_ tensors: inout CompletedTensors, _ file: String) throws(WeightSourceError) {
    for (feature, key) in [(TensorRule.Feature.attentionBias, \SourceModel.attentionBias as WritableKeyPath), (.mlpBias, \.mlpBias)] {
      let name = feature == .attentionBias ? "attention_bias" : "mlp_bias"
      let parts = family.tensors.filter { $0.feature == feature }.flatMap(\.parts)
      var missing: [(name: String, extent: Int)] = []
      var present: [String] = []
      for layer in 0..<shape.layerCount {
        for part in parts {
          let name = part.huggingFace.inLayer(layer)
          if tensors.description(of: name) == nil { missing.append((name, shape.extent(part.outputs))) } else { present.append(name) }
        }
      }
      guard self[keyPath: key] else {
        guard present.isEmpty else {
          throw WeightSourceError(
            origin,
            .configuration(
              key: name, file: file,
              reason: "is not true, but there are \(present.count) such tensors: \(NameSummary(present, limit: 2)). Set it if the model was trained with them (transformers would leave them out), or take them out"))
        }
        continue
      }
      guard !missing.isEmpty else { continue }
      warnings.append(
        SourceWarning(
          name, in: file,
          "\(family.defaults(architecture).attentionBias == .always ? "belongs to \(architecture)" : "is true"), but \(missing.count) of \(missing.count + present.count) tensors are not there (\(missing[0].name)): they count as zero, as in transformers"
        ))
      fill(missing, &tensors, keep: key, isEmpty: present.isEmpty)
    }
  }

  /// Tensors that are not there count as zeros; a kind of which none is there is left out.
  private mutating func fill(
    _ missing: [(name: String, extent: Int)], _ tensors: inout CompletedTensors, keep key: WritableKeyPath<SourceModel, Bool>, isEmpty: Bool
  ) {
    guard !isEmpty else {
      self[keyPath: key] = false
      return
    }
    for (name, extent) in missing { tensors.zeros[name] = TensorDescription(shape: [extent], elementType: elementType) }
  }

  /// Biases of a GGUF file: each is optional there, and those that are missing beside others count as zeros.
  mutating func fillBiases(_ tensors: any NamedTensors) -> any NamedTensors {
    var completed = CompletedTensors(base: tensors)
    for (feature, key) in [(TensorRule.Feature.attentionBias, \SourceModel.attentionBias as WritableKeyPath), (.mlpBias, \.mlpBias)] {
      let parts = family.tensors.filter { $0.feature == feature }.flatMap(\.parts)
      let all = (0..<shape.layerCount).flatMap { layer in parts.map { (name: $0.huggingFace.inLayer(layer), extent: shape.extent($0.outputs)) } }
      let missing = all.filter { tensors.description(of: $0.name) == nil }
      self[keyPath: key] = true
      fill(missing, &completed, keep: key, isEmpty: missing.count == all.count)
    }
    return completed.isTrivial ? tensors : completed
  }
}
