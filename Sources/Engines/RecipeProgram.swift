public import Networks
public import Tensors

/// A recipe in the one order in which this version runs it: parts, optional constant, cast, pack.
///
/// Any nesting of ``Recipe`` steps that means the same is accepted; one that does not (a cast inside a
/// concatenation, say) gives nil, and the plan's check refuses it.
public struct RecipeProgram: Sendable {
  public struct Part: Sendable {
    public let name: String
    /// Shape of the checkpoint tensor.
    public let shape: [Int]
    /// Which rows of the result it makes.
    public let rows: Range<Int>
  }
  public let parts: [Part]
  public let constant: Float
  public let elementType: ElementType
  public let layout: WeightLayout
  public let shape: [Int]

  /// Elements in a row: 1 for a vector.
  public var columns: Int { shape.count == 2 ? shape[1] : 1 }
  public var rowCount: Int { shape[0] }

  public init?(_ weight: PlannedWeight) {
    guard case .pack(weight.layout, .cast(weight.elementType, let rest)) = weight.recipe else { return nil }
    elementType = weight.elementType
    layout = weight.layout
    shape = weight.shape
    var inputs = rest
    if case .add(let constant, let input) = inputs {
      self.constant = constant
      inputs = input
    } else {
      constant = 0
    }
    let takes: [Recipe] = if case .concatenate(let list) = inputs { list } else { [inputs] }
    var parts: [Part] = []
    var row = 0
    for take in takes {
      guard case .take(let name, let shape) = take, let rows = shape.first else { return nil }
      parts.append(Part(name: name, shape: shape, rows: row..<row + rows))
      row += rows
    }
    self.parts = parts
  }
}
