/// What a refit did.
public struct RefitSummary: Sendable {
  /// By rank, in the order of the plan; of the ranks that this process wrote.
  public var weights: [WrittenWeight] = []
  /// Tensors of the source that no weight of the engine uses.
  public var ignored = 0
  /// What the values gave cause to say: NaN and infinity, with counts.
  public var warnings: [String] = []
  /// Weights that were read back and compared; 0 where that was not asked for.
  public var verifiedCount = 0
  /// Ranks that other processes have yet to write; the output appears when the last of them is there.
  public var pendingRanks: [Int] = []

  /// Nothing was done.
  public init() {}

  /// How many weights came to their bytes in this way.
  public func count(_ fate: WrittenWeight.Fate) -> Int { weights.count { $0.fate == fate } }
  /// Bytes of the output's weights.
  public var byteCount: Int { weights.reduce(0) { $0 + $1.byteCount } }
  /// Bytes that were computed and written.
  public var changedByteCount: Int {
    weights.reduce(0) { $0 + ($1.fate == .refitted || $1.fate == .filled ? $1.byteCount : 0) }
  }

  /// How far weights moved, by layer (counted over all pipeline stages; nil outside of layers) and module: tensor-parallel
  /// slices joined.
  public func movements(in engine: EngineDirectory) -> [(layer: Int?, module: String, movement: WeightMovement, nonFiniteCount: Int)] {
    var order: [Key] = []
    var table: [Key: (WeightMovement, Int)] = [:]
    for weight in weights {
      guard let movement = weight.movement ?? (weight.fate == .kept ? WeightMovement() : nil) else { continue }
      let key = Key(weight, engine)
      if table[key] == nil { order.append(key) }
      var entry = table[key] ?? (WeightMovement(), 0)
      entry.0.add(movement)
      entry.1 += weight.nonFiniteCount
      table[key] = entry
    }
    return order.sorted { ($0.layer ?? .max) < ($1.layer ?? .max) }.map {
      ($0.layer, $0.module, table[$0]?.0 ?? WeightMovement(), table[$0]?.1 ?? 0)
    }
  }

  private struct Key: Hashable {
    let layer: Int?
    let module: String

    init(_ weight: WrittenWeight, _ engine: EngineDirectory) {
      let prefix = "transformer.layers."
      var rest = weight.name[...]
      if rest.hasPrefix(prefix) {
        rest = rest.dropFirst(prefix.count)
        let digits = rest.prefix { $0 != "." }
        if let local = Int(digits) {
          let mapping = engine.pretrained.mapping
          let first = mapping.layers(
            ofStage: mapping.pipelineRank(of: weight.rank), layerCount: engine.pretrained.layerCount
          ).lowerBound
          layer = first + local
          module = String(rest.dropFirst(digits.count + 1))
          return
        }
      }
      layer = nil
      module = weight.name
    }
  }
}
