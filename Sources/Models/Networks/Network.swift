public import OrderedCollections
public import Tensors

/// A model as typed operations, before any target is chosen: what one rank computes for a batch of token rows.
public struct Network: Sendable {
  public var values: [Value] = []
  public var operations: [Operation] = []
  /// By engine name, in order of first use.
  public var weights: OrderedDictionary<String, NetworkWeight> = [:]
  /// Rotary position embeddings, which attention operations name by index: the same on every rank.
  public var rotaries: [RotaryEmbedding] = []

  public init() {}

  public mutating func append(_ operations: Operation...) { self.operations += operations }

  public mutating func value(_ name: String, width: Int, rows: Value.Rows = .tokens) -> ValueID {
    values.append(Value(name: name, width: width, rows: rows))
    return ValueID(values.count - 1)
  }

  /// Declares a weight that is taken from the checkpoint as it is.
  ///
  /// - Parameter elementType: nil: as all weights of the model.
  public mutating func weight(_ name: String, shape: [Int], role: WeightRole, elementType: ElementType? = nil) -> String {
    if weights[name] == nil {
      weights[name] = NetworkWeight(shape: shape, role: role, elementType: elementType, recipe: .take(name: name, shape: shape))
    }
    return name
  }
}

/// An activation: one float32 row of `width` elements for each row of the batch.
public struct Value: Sendable, Hashable {
  public enum Rows: String, Sendable, Hashable {
    /// A row for every token of the step.
    case tokens
    /// A row for every sequence that wants logits.
    case selected
  }
  public var name: String
  public var width: Int
  public var rows: Rows
  public init(name: String, width: Int, rows: Rows) {
    self.name = name
    self.width = width
    self.rows = rows
  }
}

public struct ValueID: Sendable, Hashable {
  public let index: Int
  public init(_ index: Int) { self.index = index }
}

/// What a weight is for; decides whether a refit may change it.
public enum WeightRole: String, Sendable, Hashable, CaseIterable {
  case embedding, attention, mlp, normalization, logits
}

public struct NetworkWeight: Sendable, Hashable {
  /// Logical shape: `[N, K]` for a linear weight (N outputs), `[N]` for a vector.
  public var shape: [Int]
  public var role: WeightRole
  /// nil: as all weights of the model.
  public var elementType: ElementType?
  /// Without cast and pack: those are the target's business.
  public var recipe: Recipe
}
