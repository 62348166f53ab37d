import Families
import Tensors

/// Everything that is wrong with a model's tensors, in one error, under the names that their author gave them.
struct ConvertedCheck {
  let tensors: any NamedTensors
  let layout: ShardLayout
  let elementType: ElementType

  func findings() -> (problems: [WeightSourceError.Problem], warnings: [SourceWarning]) {
    var wanted: [String: [Int]] = [:]
    var order: [String] = []
    for rank in 0..<layout.mapping.worldSize {
      for tensor in layout.tensors(rank: rank) {
        for piece in tensor.pieces where wanted.updateValue(piece.sourceShape, forKey: piece.source) == nil { order.append(piece.source) }
      }
    }
    let missing = order.filter { tensors.description(of: $0) == nil }.map { tensors.spelling(of: $0) }
    let unexpected = tensors.names.filter { name in
      wanted[name] == nil && !layout.family.ignoredNames.contains(name) && !layout.family.ignoredSuffixes.contains { name.hasSuffix($0) }
        && !layout.family.wholeModels.contains { $0.otherPrefixes.contains { name.hasPrefix($0) } }
    }.map { tensors.spelling(of: $0) }
    let (problems, warnings) = names(Set(order.map { tensors.spelling(of: $0) }), missing, unexpected)
    return (problems + values(order, wanted), warnings)
  }

  private func names(
    _ wanted: Set<String>, _ missing: [String], _ unexpected: [String]
  ) -> (problems: [WeightSourceError.Problem], warnings: [SourceWarning]) {
    if let cause = NameCause(wanted: wanted, missing: missing, unexpected: unexpected, isGGUF: tensors.isGGUF) {
      return ([.misnamed(names: unexpected, cause: cause.cause, remedy: cause.remedy)], [])
    }
    if unexpected.isEmpty, let cause = NameCause(missing: missing, wanted: wanted, isGGUF: tensors.isGGUF) {
      return ([.misnamed(names: missing, cause: cause.cause, remedy: cause.remedy)], [])
    }
    // transformers leaves out what the model has no place for; llama.cpp does not load such a file.
    if missing.isEmpty, !tensors.isGGUF, let first = unexpected.first {
      let text =
        unexpected.count == 1
        ? "is used by nothing and left out, as in transformers"
        : "and \(unexpected.count - 1) more tensors are used by nothing and left out, as in transformers: \(NameSummary(unexpected, limit: 3))"
      return ([], [SourceWarning(first, in: "weights", text)])
    }
    let heads = Set(layout.family.tensors.filter { $0.tiedTo != nil }.flatMap { $0.parts.map(\.huggingFace) })
    let others = missing.filter { !heads.contains($0) }
    let absent: [WeightSourceError.Problem] = (others.isEmpty ? [] : [.missing(names: others)]) + missing.filter(heads.contains).map { .missingHead(name: $0) }
    return (absent + (unexpected.isEmpty ? [] : [.unexpected(names: unexpected, family: layout.family.name)]), [])
  }

  private func values(_ order: [String], _ wanted: [String: [Int]]) -> [WeightSourceError.Problem] {
    var empty: [String] = []
    var shapes: [(name: String, found: [Int], expected: [Int])] = []
    var types: [WeightSourceError.Problem] = []
    for name in order {
      guard let found = tensors.description(of: name), let shape = wanted[name] else { continue }
      if found.shape != shape {
        if found.elementCount == 0 || (found.shape.count == 1 && shape.count > 1) { empty.append(tensors.spelling(of: name)) } else { shapes.append((name, found.shape, shape)) }
      } else if !NumberFormat.converts(found.elementType, to: elementType) {
        types.append(
          .elementType(
            tensor: tensors.spelling(of: name), found: found.elementType.rawValue, supported: ["F16", "BF16", "F32", "F64"]))
      }
    }
    var problems: [WeightSourceError.Problem] = empty.isEmpty ? [] : [.ungathered(names: empty)]
    if let vocabulary = vocabulary(shapes) {
      problems.append(vocabulary)
    } else {
      problems += shapes.map {
        .shape(tensor: tensors.spelling(of: $0.name), found: $0.found, expected: $0.expected, why: "from the configuration")
      }
    }
    return problems + types
  }

  /// Where only tables differ, and only in rows, the number of tokens does.
  private func vocabulary(_ shapes: [(name: String, found: [Int], expected: [Int])]) -> WeightSourceError.Problem? {
    let tables = Set(layout.family.tensors.flatMap(\.parts).filter { $0.outputs == .vocabulary }.map(\.huggingFace))
    guard let first = shapes.first, first.found.count == 2,
      shapes.allSatisfy({ tables.contains($0.name) && $0.found.count == 2 && $0.found[0] == first.found[0] && $0.found[1] == $0.expected[1] })
    else { return nil }
    return .vocabulary(tensors: shapes.map { tensors.spelling(of: $0.name) }, rows: first.found[0], configured: first.expected[0])
  }
}
