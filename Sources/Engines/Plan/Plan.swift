public import Networks
public import OrderedCollections
public import Schemes
public import Tensors

/// What one rank of an engine computes, with which kernels, and how each of its weights is made.
///
/// A plan holds nothing that depends on the values of weights, so a stripped, a full and a refitted engine share
/// it to the byte.
public struct Plan: Sendable, Equatable {
  /// Grows when an older reader could not run the plan rightly.
  public static let formatVersion = 3

  /// The back end that can run it, such as `cpu`.
  public var target: String
  /// Below tensor-parallel size times pipeline-parallel size.
  public var rank: Int
  /// Ranks that share each layer; at least 1.
  public var tensorParallel: Int
  /// Stages of consecutive layers; at least 1.
  public var pipelineParallel: Int
  /// The same on every rank.
  public var limits: PlanLimits
  /// Element type of weights that are not encoded in fewer bits.
  public var elementType: ElementType
  /// Tokens below this number have logits; rows beyond it are padding.
  public var vocabularySize: Int
  /// Which attentions name by index: the same on every rank.
  public var rotaries: [RotaryEmbedding]
  /// Which attentions name by index: a kind of layer each.
  public var caches: [CacheFormat]
  /// Activations, by `ValueID`.
  public var values: [Value]
  /// Which activation buffer each value lives in, and the width of each buffer.
  public var slots: BufferSlots
  /// In the order in which they run.
  public var operations: [Operation]
  /// By the shape of a linear weight, which kernel variants run it.
  public var tactics: [KernelTactics]
  /// By engine name, in the order of first use: the order of the tensors in the file.
  public var weights: OrderedDictionary<String, PlannedWeight>
  /// What the target made when the engine was built, in the order of its tensors behind the weights.
  public var artifacts: [PlannedArtifact] = []

  /// The rank's place in its stage.
  public var tensorRank: Int { rank % tensorParallel }
  /// The rank's stage.
  public var pipelineRank: Int { rank / tensorParallel }
  /// Layers with keys and values, on this rank.
  public var cacheLayerCount: Int { caches.reduce(0) { $0 + $1.layers } }
}

/// The sizes an engine was built for (upstream's names without `max_`): each from 1 to 2^24 in what is built.
public struct PlanLimits: Sendable, Hashable {
  /// Sequences in one step.
  public var batchSize: Int
  /// Tokens of a prompt.
  public var inputLength: Int
  /// Tokens of a sequence, prompt and answer together.
  public var sequenceLength: Int
  /// Rows in one step.
  public var tokens: Int
  /// Checks nothing: that limits fit each other is proved with the plan.
  public init(batchSize: Int, inputLength: Int, sequenceLength: Int, tokens: Int) {
    self.batchSize = batchSize
    self.inputLength = inputLength
    self.sequenceLength = sequenceLength
    self.tokens = tokens
  }
}

/// A weight of an engine: what it is, how it is stored, and how it is made.
public struct PlannedWeight: Sendable, Hashable {
  /// Logical shape; the file holds ``stored``.
  public var shape: [Int]
  /// How its numbers are kept.
  public var scheme: NumberScheme
  /// In which order they lie.
  public var layout: WeightLayout
  /// What it is for.
  public var role: WeightRole
  /// Whether a refit may change it. An absent weight may always be filled.
  public var isRefittable: Bool
  /// How it is made; ends in `Recipe/pack(_:_:)` of ``layout``.
  public var recipe: Recipe

  /// As the engine file's header declares it.
  public var stored: TensorDescription {
    switch scheme {
    case .plain(let type): TensorDescription(shape: layout.storedShape(of: shape), elementType: type)
    default: scheme.coding?.stored(shape) ?? TensorDescription(shape: shape, elementType: .uint8)
    }
  }
}

/// Which weights a refit may change.
public enum RefitScope: String, Sendable, CaseIterable {
  /// All but embedding and position tables.
  case standard = "default"
  /// Every weight.
  case all

  /// Whether a refit may change a weight of this role.
  public func includes(_ role: WeightRole) -> Bool { self == .all || role != .embedding }
}
