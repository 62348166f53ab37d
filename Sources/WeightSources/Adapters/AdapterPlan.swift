/// Which of a layout's pieces an adapter changes, and what of the adapter finds no place.
struct AdapterPlan {
  private let adapter: LoRAAdapter
  private let layout: ShardLayout
  private let sharesEmbedding: Bool
  /// By weight name in the base model: its shape.
  private let weights: [String: [Int]]
  /// Weight names that take another's change: the output head of a tied model.
  private let standIns: [String: String]

  init(_ adapter: LoRAAdapter, _ layout: ShardLayout, sharesEmbedding: Bool) {
    self.adapter = adapter
    self.layout = layout
    self.sharesEmbedding = sharesEmbedding
    var weights: [String: [Int]] = [:]
    for rank in 0..<layout.mapping.worldSize {
      for tensor in layout.tensors(rank: rank) {
        for piece in tensor.pieces { weights[piece.source] = piece.sourceShape }
      }
    }
    self.weights = weights
    var standIns: [String: String] = [:]
    for rule in layout.family.tensors {
      guard let other = rule.tiedTo, let own = rule.parts.first?.huggingFace, adapter.keepsEmbeddingsTied else { continue }
      standIns[own] = other
    }
    self.standIns = standIns
  }

  /// What happens to a weight of the base model.
  private func change(_ piece: ShardLayout.Piece) -> AdaptedWeights.Change? {
    if let own = change(piece, under: piece.source) { return own }
    return standIns[piece.source].flatMap { change(piece, under: $0) }
  }
  private func change(_ piece: ShardLayout.Piece, under name: String) -> AdaptedWeights.Change? {
    if name.hasSuffix(".weight"), let lowRank = adapter.lowRank[String(name.dropLast(".weight".count))] { return .lowRank(lowRank) }
    guard adapter.replacements[name] != nil else { return nil }
    return .replaced(
      .init(source: name, sourceShape: piece.sourceShape, firstRow: piece.firstRow, rows: piece.rows, columns: piece.columns))
  }

  func touched(rank: Int) -> [String: AdaptedWeights.Touched] {
    var result: [String: AdaptedWeights.Touched] = [:]
    for tensor in layout.tensors(rank: rank) {
      let changes = tensor.pieces.map(change)
      if changes.contains(where: { $0 != nil }) { result[tensor.name] = .init(tensor: tensor, changes: changes) }
    }
    return result
  }

  /// - Throws: ``WeightSourceError`` for whatever of the adapter reaches no weight or does not fit it.
  func check() throws(WeightSourceError) {
    let lost = adapter.lowRank.keys.filter { weights["\($0).weight"] == nil } + adapter.replacements.keys.filter { weights[$0] == nil }
    guard lost.isEmpty else {
      throw WeightSourceError(adapter.origin, .other(
        "\(lost.count == 1 ? "1 part reaches" : "\(lost.count) parts reach") no weight of the base model: \(lost.sorted().joined(separator: ", ")). "
          + "Check that the adapter was trained on this model."))
    }
    for module in adapter.lowRank.keys.sorted() {
      guard let change = adapter.lowRank[module], let shape = weights["\(module).weight"], shape.count == 2 else { continue }
      let outputs = change.isEmbedding ? change.down : change.up
      let inputs = change.isEmbedding ? change.up : change.down
      try expect(outputs, dimension: change.isEmbedding ? 1 : 0, shape[0], base: shape, module)
      try expect(inputs, dimension: change.isEmbedding ? 0 : 1, shape[1], base: shape, module)
      if let magnitude = change.magnitude, let found = adapter.file.header[magnitude]?.description.shape, found != [shape[0]] {
        throw WeightSourceError(adapter.origin, .shape(tensor: magnitude, found: found, expected: [shape[0]], why: "base weight \(shape)"))
      }
    }
    let tensors = AdapterTensors(adapter)
    for name in tensors.names {
      guard let found = tensors.description(of: name)?.shape, let shape = weights[name] else { continue }
      guard found == shape else {
        throw WeightSourceError(adapter.origin, .shape(tensor: name, found: found, expected: shape, why: "shape of the base's weight"))
      }
    }
    try checkSharing()
  }

  private func expect(_ tensor: String, dimension: Int, _ extent: Int, base: [Int], _ module: String) throws(WeightSourceError) {
    guard let found = adapter.file.header[tensor]?.description.shape, found[dimension] != extent else { return }
    var expected = found
    expected[dimension] = extent
    throw WeightSourceError(
      adapter.origin, .shape(tensor: tensor, found: found, expected: expected, why: "base weight '\(module)' is \(base)"))
  }

  /// Whether a tensor of the checkpoint is the copy that models with tied embeddings do without.
  func isTiedCopy(_ name: String) -> Bool { layout.family.tensors.contains { $0.tiedTo != nil && $0.name == name } }

  /// One stored table takes only a change that is meant for both of its uses.
  private func checkSharing() throws(WeightSourceError) {
    guard sharesEmbedding else { return }
    for rule in layout.family.tensors {
      guard let table = rule.tiedTo, let head = rule.parts.first?.huggingFace else { continue }
      let changed = [table, head].filter { name in
        adapter.replacements[name] != nil || adapter.lowRank[String(name.dropLast(".weight".count))] != nil
      }
      let isMeantForBoth = changed.isEmpty || (adapter.keepsEmbeddingsTied && changed == [table]) || (changed.count == 2 && isSame(table, head))
      guard isMeantForBoth else {
        throw WeightSourceError(adapter.origin, .other(
          "the adapter changes \(changed.map { "'\($0)'" }.joined(separator: " and ")) \(changed.count == 1 ? "alone" : "differently"), "
            + "but the base stores '\(table)' and '\(head)' as one table. Build an engine from the merged model instead."))
      }
    }
  }

  /// Whether the adapter replaces both weights by the same bytes.
  private func isSame(_ one: String, _ other: String) -> Bool {
    guard let first = adapter.replacements[one], let second = adapter.replacements[other],
      let description = adapter.file.header[first]?.description, description == adapter.file.header[second]?.description
    else { return false }
    for name in [one, other] where adapter.lowRank[String(name.dropLast(".weight".count))] != nil { return false }
    guard let a = adapter.file.header[first]?.range, let b = adapter.file.header[second]?.range else { return false }
    let start = adapter.file.header.dataStart
    let step = 1 << 20
    for offset in stride(from: 0, to: a.count, by: step) {
      let count = min(step, a.count - offset)
      guard let left = try? adapter.file.file.bytes(start + a.lowerBound + offset..<start + a.lowerBound + offset + count),
        let right = try? adapter.file.file.bytes(start + b.lowerBound + offset..<start + b.lowerBound + offset + count),
        left == right
      else { return false }
    }
    return true
  }
}
