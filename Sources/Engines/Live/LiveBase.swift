/// A version of a running engine's weights that an adapter is put on.
public struct LiveBase: Sendable {
  /// Its name, for messages.
  public var version: String
  /// For each rank, the weights that differ from the engine file's, by name.
  public var ranks: [[String: WeightMemory]]
  /// Of the version, by rank.
  public var digests: [RankDigest]
  /// Of the version; nil for the engine file's where there is none.
  public var lineage: Lineage?

  /// - Parameter ranks: One dictionary a rank, empty where all of its weights are the engine file's.
  public init(version: String, ranks: [[String: WeightMemory]], digests: [RankDigest], lineage: Lineage?) {
    self.version = version
    self.ranks = ranks
    self.digests = digests
    self.lineage = lineage
  }
}
