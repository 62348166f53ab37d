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
  public static let formatVersion = 2

  public var target: String
  public var rank: Int
  public var tensorParallel: Int
  public var pipelineParallel: Int
  public var limits: PlanLimits
  /// Element type of weights that are not encoded in fewer bits.
  public var elementType: ElementType
  /// Tokens below this number have logits; rows beyond it are padding.
  public var vocabularySize: Int
  /// Which attentions name by index: the same on every rank.
  public var rotaries: [RotaryEmbedding]
  /// Which attentions name by index: a kind of layer each.
  public var caches: [CacheFormat]
  public var values: [Value]
  /// Which activation buffer each value lives in, and the width of each buffer.
  public var slots: BufferSlots
  public var operations: [Operation]
  /// By the shape of a linear weight, which kernel variants run it.
  public var tactics: [LinearTactics]
  public var weights: OrderedDictionary<String, PlannedWeight>

  public var tensorRank: Int { rank % tensorParallel }
  public var pipelineRank: Int { rank / tensorParallel }
  /// Layers with keys and values, on this rank.
  public var cacheLayerCount: Int { caches.reduce(0) { $0 + $1.layers } }
}

/// The sizes an engine was built for (upstream's names without `max_`).
public struct PlanLimits: Sendable, Hashable {
  public var batchSize: Int
  public var inputLength: Int
  public var sequenceLength: Int
  /// Rows in one step.
  public var tokens: Int
  public init(batchSize: Int, inputLength: Int, sequenceLength: Int, tokens: Int) {
    self.batchSize = batchSize
    self.inputLength = inputLength
    self.sequenceLength = sequenceLength
    self.tokens = tokens
  }
}

public struct PlannedWeight: Sendable, Hashable {
  /// Logical shape; the file holds ``stored``.
  public var shape: [Int]
  public var scheme: NumberScheme
  public var layout: WeightLayout
  public var role: WeightRole
  /// Whether a refit may change it. An absent weight may always be filled.
  public var isRefittable: Bool
  public var recipe: Recipe

  /// As the engine file's header declares it.
  public var stored: TensorDescription {
    switch scheme {
    case .plain(let type): TensorDescription(shape: layout.storedShape(of: shape), elementType: type)
    default: scheme.coding?.stored(shape) ?? TensorDescription(shape: shape, elementType: .uint8)
    }
  }
}

/// Kernel variants for all linear weights `[outputs, inputs]` of one number scheme.
public struct LinearTactics: Sendable, Hashable {
  public var outputs: Int
  public var inputs: Int
  public var scheme: NumberScheme
  public var decode: String
  public var prefill: String
  public init(outputs: Int, inputs: Int, scheme: NumberScheme, decode: String, prefill: String) {
    self.outputs = outputs
    self.inputs = inputs
    self.scheme = scheme
    self.decode = decode
    self.prefill = prefill
  }
}

/// Which linear weights a refit may change.
public enum RefitScope: String, Sendable, CaseIterable {
  /// All but embedding and position tables.
  case standard = "default"
  case all

  public func includes(_ role: WeightRole) -> Bool { self == .all || role != .embedding }
}
