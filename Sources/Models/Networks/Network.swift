public import OrderedCollections
public import Tensors

/// A model as typed operations, before any target is chosen: what one rank computes for a batch of token rows.
public struct Network: Sendable {
  /// By ``ValueID``. Values that fusion has left without an operation stay, so that numbers stay right.
  public var values: [Value] = []
  /// In the order in which they run.
  public var operations: [Operation] = []
  /// By engine name, in order of first use.
  public var weights: OrderedDictionary<String, NetworkWeight> = [:]
  /// Rotary position embeddings, which attention operations name by index: the same on every rank.
  public var rotaries: [RotaryEmbedding] = []

  /// Nothing yet: filled by ``append(_:)``, ``value(_:width:rows:)`` and ``weight(_:shape:role:elementType:)``.
  public init() {}

  /// Adds operations after those that are there, and checks nothing: that they fit is proved when they are a plan's.
  public mutating func append(_ operations: Operation...) { self.operations += operations }

  /// Declares an activation.
  ///
  /// - Parameters:
  ///   - name: For people; need not be unique.
  ///   - width: Elements a row.
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
  /// How many rows a value has in a step.
  public enum Rows: String, Sendable, Hashable {
    /// A row for every token of the step.
    case tokens
    /// A row for every sequence that wants logits.
    case selected
  }
  /// For people and messages, such as `transformer.layers.0.qkv`; need not be unique.
  public var name: String
  /// Elements a row.
  public var width: Int
  /// Values share a buffer only with values of the same kind of rows.
  public var rows: Rows
  /// Checks nothing: a plan's check bounds the width.
  public init(name: String, width: Int, rows: Rows) {
    self.name = name
    self.width = width
    self.rows = rows
  }
}

/// The number of an activation: an index into ``Network/values``, or the values of a plan.
public struct ValueID: Sendable, Hashable {
  /// From 0. Out of a file it may be any number until the plan's check has found it.
  public let index: Int
  /// Whether there is such a value is for a plan's check to find.
  public init(_ index: Int) { self.index = index }
}

/// What a weight is for; decides whether a refit may change it.
public enum WeightRole: String, Sendable, Hashable, CaseIterable {
  /// Embedding tables; what attention and MLPs multiply with, and their biases; norms; the head.
  case embedding, attention, mlp, normalization, logits
}

/// A weight that operations name: what it is and how it is made, before a target says how it is stored.
public struct NetworkWeight: Sendable, Hashable {
  /// Logical shape: `[N, K]` for a linear weight (N outputs), `[N]` for a vector.
  public var shape: [Int]
  /// By it the scope of refits, chosen at build, decides whether a refit may change the weight.
  public var role: WeightRole
  /// nil: as all weights of the model.
  public var elementType: ElementType?
  /// Without cast and pack: those are the target's business.
  public var recipe: Recipe
}
