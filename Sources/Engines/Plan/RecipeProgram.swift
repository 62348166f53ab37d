public import Networks
public import Schemes
public import Tensors

/// A recipe in the one order in which this version runs it: parts, optional constant, cast or encode, pack.
///
/// The steps must be nested in this order, outermost last; any other nesting (a cast inside a concatenation, say) gives nil, and the
/// plan's check refuses it.
public struct RecipeProgram: Sendable {
  /// A checkpoint tensor that makes some rows of the result.
  public struct Part: Sendable {
    /// The tensor's name in the checkpoint of the engine's rank.
    public let name: String
    /// Shape of the checkpoint tensor.
    public let shape: [Int]
    /// Which rows of the result it makes.
    public let rows: Range<Int>
  }
  /// In the order of their rows, which they cover without gaps.
  public let parts: [Part]
  /// Added to every element in float32; 0: nothing is added, as always for encoded weights.
  public let constant: Float
  /// What the numbers become.
  public let scheme: NumberScheme
  /// The type to which floats are rounded before they are encoded, as a checkpoint of the model would hold them.
  public private(set) var encodedFrom = ElementType.float32
  /// In which order they are put.
  public let layout: WeightLayout
  /// Logical shape of the result, `[N, K]` or `[N]`.
  public let shape: [Int]

  /// Elements in a row: 1 for a vector.
  public var columns: Int { shape.count == 2 ? shape[1] : 1 }
  /// N: rows of the result, without those that fill up a last panel.
  public var rowCount: Int { shape[0] }

  /// What some rows of the result are made of: for each tensor its rows, and which of the wanted rows they become.
  func inputs(of rows: Range<Int>) -> [(name: String, rows: Range<Int>, places: Range<Int>)] {
    parts.compactMap { part in
      let wanted = rows.clamped(to: part.rows)
      guard !wanted.isEmpty else { return nil }
      return (
        part.name, wanted.lowerBound - part.rows.lowerBound..<wanted.upperBound - part.rows.lowerBound,
        wanted.lowerBound - rows.lowerBound..<wanted.upperBound - rows.lowerBound
      )
    }
  }

  /// nil for a recipe that this version cannot run; a plan that was checked has none.
  public init?(_ weight: PlannedWeight) {
    guard case .pack(weight.layout, let numbers) = weight.recipe else { return nil }
    let rest: Recipe
    switch numbers {
    case .cast(let type, let input) where weight.scheme == .plain(type): rest = input
    case .encode(let scheme, .cast(let type, let input)) where weight.scheme == scheme && scheme.coding != nil:
      guard [.float32, .float16, .bfloat16].contains(type) else { return nil }
      (rest, encodedFrom) = (input, type)
    default: return nil
    }
    scheme = weight.scheme
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
    // Codes have no sum with a constant.
    if scheme.coding != nil, constant != 0 { return nil }
    for take in takes {
      guard case .take(let name, let shape) = take, let rows = shape.first else { return nil }
      parts.append(Part(name: name, shape: shape, rows: row..<row + rows))
      row += rows
    }
    self.parts = parts
  }
}
