import Tensors
import WeightSources

/// Tensors that a source has and that no weight of an engine is made of, such as biases and scales that its configuration does
/// not speak of: a build and a refit say the same of them.
enum SurplusTensors {
  /// - Parameter plans: Of all ranks.
  static func names(in source: any WeightSource, rank: Int, plans: [Plan]) -> [String] {
    // What only the first rank of a sum adds, such as a bias, is in every rank's file of a checkpoint.
    let first = plans[rank - rank % plans[rank].tensorParallel]
    var used = Set([plans[rank], first].flatMap { $0.weights.values.flatMap { $0.recipe.inputs.map(\.name) } })
    for name in used {
      guard let coding = source.scheme(of: name, rank: rank)?.coding else { continue }
      used.formUnion(coding.parts.map { $0.name(of: name) })
    }
    return source.names(rank: rank).filter { !used.contains($0) && $0 != EmbeddingSharing.logits }
  }

  static func warning(_ names: [String], rank: Int) -> String? {
    guard !names.isEmpty else { return nil }
    return "rank \(rank): \(names.count) tensor(s) of the source are in no engine weight: " + NameSummary(names, limit: 3).description
  }
}
