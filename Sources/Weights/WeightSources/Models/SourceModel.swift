public import Families
public import JSON
public import Tensors

/// What a model's author says about it, whichever format said it.
public struct SourceModel: Sendable {
  /// File or directory, for messages.
  public let origin: String
  /// What its tensors are called and which network it is.
  public let family: ModelFamily
  /// As Hugging Face spells it; what `config.json` of a checkpoint calls `architecture`.
  public let architecture: String
  /// Sizes of the whole model.
  public let shape: ModelShape
  /// `silu`, …
  public let hiddenActivation: String
  /// Numbers keep their author's spelling, so that a checkpoint's configuration repeats it.
  public let normEpsilon: JSONNumber
  /// `rope_theta`; where layers differ, that of those that see the whole sequence.
  public let rotaryBase: JSONNumber
  /// Dimensions of a head that rotary embedding turns; less than the head's size where the author says so.
  public let rotaryDimension: Int
  /// Hugging Face's `rope_scaling` object as it stands, or nil for none.
  public let rotaryScaling: JSONValue?
  /// `max_position_embeddings`; nil where the author gives none.
  public let maximumPositions: Int?
  /// Tokens that attention looks back; nil for all.
  public let slidingWindow: Int?
  /// What layers see where they differ in it.
  public let layers: SourceLayers?
  /// Which layers turn queries and keys by their positions, where the model has a list of them; nil: its family decides.
  public internal(set) var turnedLayers: [Bool]?
  /// What the author multiplies by, under the places of the family's multipliers.
  package var multipliers: [Multiplier.Place: JSONNumber] = [:]
  /// Whether the head's weight is the embedding table. What the tensors show counts, where they contradict the configuration.
  public internal(set) var tiesEmbeddings: Bool
  /// Whether attention's projections have biases.
  public internal(set) var attentionBias: Bool
  /// Whether the MLP's projections have biases.
  public internal(set) var mlpBias: Bool
  /// The type that weights were published in.
  public let elementType: ElementType
  /// Whether the source holds blocks of quantised numbers.
  public let isQuantized: Bool
  /// `bos_token_id`; nil where the author names none.
  public let bosTokenID: Int?
  /// `eos_token_id`, one or several; empty where the author names none.
  public let eosTokenIDs: [Int]
  /// What its configuration gave cause to say.
  var warnings: [SourceWarning] = []
  /// Settings that cannot be used; a model with any is refused when it is opened.
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
  /// For each layer whether it sees a window only.
  public let isWindowed: [Bool]
  /// Numbers as the author wrote them; nil where the model has none. Base of the rotary embedding of layers with a window.
  public let localBase: JSONNumber?
  /// `query_pre_attn_scalar`: scores are divided by its square root. nil: by that of the head's size.
  public let queryScalar: JSONNumber?
  /// `attn_logit_softcapping`: scores become `cap · tanh(x / cap)`; nil: as they are.
  public let scoreSoftCap: JSONNumber?
  /// `final_logit_softcapping`: the same of logits.
  public let logitSoftCap: JSONNumber?
}

extension ElementType {
  /// Types that a converted checkpoint may have.
  public static let checkpointTypes: [ElementType] = [.float16, .bfloat16, .float32]
}
