public import Families
public import JSON
public import Tensors

/// What a model's author says about it, whichever format said it.
public struct SourceModel: Sendable {
  /// File or directory, for messages.
  public let origin: String
  public let family: ModelFamily
  /// As Hugging Face spells it; what `config.json` of a checkpoint calls `architecture`.
  public let architecture: String
  public let shape: ModelShape
  /// `silu`, …
  public let hiddenActivation: String
  /// Numbers keep their author's spelling, so that a checkpoint's configuration repeats it.
  public let normEpsilon: JSONNumber
  public let rotaryBase: JSONNumber
  /// Dimensions of a head that rotary embedding turns; less than the head's size where the author says so.
  public let rotaryDimension: Int
  /// Hugging Face's `rope_scaling` object as it stands, or nil for none.
  public let rotaryScaling: JSONValue?
  public let maximumPositions: Int?
  /// Tokens that attention looks back; nil for all.
  public let slidingWindow: Int?
  /// What layers see where they differ in it.
  public let layers: SourceLayers?
  /// Which layers turn queries and keys by their positions, where the model has a list of them; nil: its family decides.
  public internal(set) var turnedLayers: [Bool]?
  /// What the author multiplies by, under the places of the family's multipliers.
  package var multipliers: [Multiplier.Place: JSONNumber] = [:]
  public internal(set) var tiesEmbeddings: Bool
  public internal(set) var attentionBias: Bool
  public internal(set) var mlpBias: Bool
  /// The type that weights were published in.
  public let elementType: ElementType
  /// Whether the source holds blocks of quantised numbers.
  public let isQuantized: Bool
  public let bosTokenID: Int?
  public let eosTokenIDs: [Int]
  /// What its configuration gave cause to say.
  var warnings: [SourceWarning] = []
  /// Settings that cannot be used; a model with any is not given to anybody.
  var failures = SettingFailures()

  /// The type for `--dtype auto`: the published type; float16 for float32; bfloat16 for quantised blocks, whose range
  /// float16 might not hold.
  public var automaticElementType: ElementType {
    if isQuantized { return .bfloat16 }
    return elementType == .float32 ? .float16 : elementType
  }
}

/// Layers that see a window of the sequence beside others that see all of it, and what comes with them.
public struct SourceLayers: Sendable {
  public let isWindowed: [Bool]
  /// Numbers as the author wrote them; nil where the model has none. Of the rotary embedding of layers with a window.
  public let localBase: JSONNumber?
  public let queryScalar: JSONNumber?
  public let scoreSoftCap: JSONNumber?
  public let logitSoftCap: JSONNumber?
}

extension ElementType {
  /// Types that a converted checkpoint may have.
  public static let checkpointTypes: [ElementType] = [.float16, .bfloat16, .float32]
}
