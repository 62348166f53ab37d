public import OrderedCollections
import Tensors

/// A model as typed operations, before any target is chosen: what one rank computes for a batch of token rows.
public struct Network: Sendable {
  public var values: [Value] = []
  public var operations: [Operation] = []
  /// By engine name, in order of first use.
  public var weights: OrderedDictionary<String, NetworkWeight> = [:]
  /// Rotary position embedding of all attention operations; nil where the model has none.
  public var rotary: RotaryEmbedding?

  public init() {}

  public mutating func value(_ name: String, width: Int, rows: Value.Rows = .tokens) -> ValueID {
    values.append(Value(name: name, width: width, rows: rows))
    return ValueID(values.count - 1)
  }

  /// Declares a weight that is taken from the checkpoint as it is.
  public mutating func weight(_ name: String, shape: [Int], role: WeightRole) -> String {
    if weights[name] == nil {
      weights[name] = NetworkWeight(shape: shape, role: role, recipe: .take(name: name, shape: shape))
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
  /// Without cast and pack: those are the target's business.
  public var recipe: Recipe
}

/// Rotary position embedding (arXiv:2104.09864) with the frequency scaling that the configuration names.
public struct RotaryEmbedding: Sendable, Hashable {
  public enum Style: String, Sendable, Hashable {
    /// Element i turns with element i + dimension/2 (GPT-NeoX, Llama).
    case halves
    /// Element 2i turns with element 2i + 1 (GPT-J).
    case pairs
  }
  public enum Scaling: Sendable, Hashable {
    case none
    /// Positions divided by `factor`.
    case linear(factor: Double)
    /// Llama 3.1: low frequencies divided by `factor`, high ones kept, a ramp between.
    case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalMaximum: Double)
  }
  public var style: Style
  /// How many elements of a head turn; even, at most the head size.
  public var dimension: Int
  public var base: Double
  public var scaling: Scaling
  public init(style: Style, dimension: Int, base: Double, scaling: Scaling) {
    self.style = style
    self.dimension = dimension
    self.base = base
    self.scaling = scaling
  }
}
