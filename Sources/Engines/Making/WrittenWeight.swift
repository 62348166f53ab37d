/// What became of one weight of one rank.
public struct WrittenWeight: Sendable, Equatable {
  /// How a weight came to its bytes.
  public enum Fate: String, Sendable {
    /// New bytes in the place of others.
    case refitted
    /// The recipe gave the bytes that the engine had; they were cloned.
    case unchanged
    /// The engine had no such weight, now it has.
    case filled
    /// Not computed: nothing in the source concerns it, or the engine does not let a refit change it.
    case kept
  }
  /// Whose file it is in.
  public var rank: Int
  /// Engine name.
  public var name: String
  /// How it came to its bytes.
  public var fate: Fate
  /// As it is stored.
  public var byteCount: Int
  /// NaN and infinite values.
  public var nonFiniteCount = 0
  /// Only where it was asked for and the engine had the weight before.
  public var movement: WeightMovement?
}
