/// A version of a running engine's weights that an adapter is put on.
public struct LiveBase: Sendable {
  public var version: String
  /// For each rank, the weights that differ from the engine file's, by name.
  public var ranks: [[String: WeightMemory]]
  public var digests: [RankDigest]
  public var lineage: Lineage?

  public init(version: String, ranks: [[String: WeightMemory]], digests: [RankDigest], lineage: Lineage?) {
    self.version = version
    self.ranks = ranks
    self.digests = digests
    self.lineage = lineage
  }
}
