import Digests
public import OrderedCollections

/// SHA-256 digests of what was written to one rank file.
public struct RankDigest: Sendable, Equatable {
  /// Name of the rank file, such as `rank0.engine`.
  public var file: String
  /// Over the plan and the digests of all weights, see `rootDigest(planText:weights:)`.
  public var root: String
  /// By engine name, in plan order: see ``DigestKind``.
  public var weights: OrderedDictionary<String, String>
}

extension RankDigest {
  /// - Parameter weights: By engine name; those of the plan are taken, in its order.
  init(_ plan: Plan, planText: String, weights: [String: String]) {
    var ordered: OrderedDictionary<String, String> = [:]
    for name in plan.weights.keys { ordered[name] = weights[name] }
    file = EngineDirectory.fileName(rank: plan.rank)
    root = Self.rootDigest(planText: planText, weights: ordered)
    self.weights = ordered
  }

  /// SHA-256 of the lines `plan <digest of the plan's text>`, then `<weight> <digest>` in plan order.
  static func rootDigest(planText: String, weights: OrderedDictionary<String, String>) -> String {
    var hash = SHA256()
    hash.update(Array("plan \(SHA256.hash(Array(planText.utf8)).hexadecimal)\n".utf8))
    for (name, digest) in weights { hash.update(Array("\(name) \(digest)\n".utf8)) }
    return hash.finalize().hexadecimal
  }

  /// - Parameters:
  ///   - ranks: Plans and their texts.
  ///   - made: Weights with their places in that list.
  ///   - old: Of what was not made.
  static func list(
    _ ranks: [(plan: Plan, text: String)], of made: some Sequence<(WeightJob, MadeWeight)>, else old: [RankDigest] = []
  ) -> [RankDigest] {
    var weights = ranks.indices.map { place in
      old.indices.contains(place) ? Dictionary(uniqueKeysWithValues: old[place].weights.map { ($0.key, $0.value) }) : [:]
    }
    for (job, made) in made { weights[job.place][job.name] = made.digest }
    return zip(ranks, weights).map { rank, weights in RankDigest(rank.plan, planText: rank.text, weights: weights) }
  }
}
