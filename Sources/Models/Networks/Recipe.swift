public import Schemes
public import Tensors

/// How an engine weight is made from checkpoint tensors.
///
/// A closed set of steps. Each maps rows of its result to rows of its inputs, so a recipe runs tile by tile in
/// bounded memory, and (where no arithmetic is involved) also backwards, from engine weight to checkpoint tensor.
public indirect enum Recipe: Sendable, Hashable {
  /// The checkpoint tensor `name` of the engine's rank, which must have this shape.
  case take(name: String, shape: [Int])
  /// The inputs below each other, along rows.
  case concatenate([Recipe])
  /// Adds a constant to every element, in float32.
  case add(Float, Recipe)
  /// Rounds to the nearest value of the type, ties to even.
  case cast(ElementType, Recipe)
  /// Numbers in fewer bits; what has this scheme already stays as it is, to the bit.
  case encode(NumberScheme, Recipe)
  /// Arranges the elements for the target's kernels.
  case pack(WeightLayout, Recipe)
}

extension Recipe {
  /// The logical shape of the result, or nil where the inputs do not fit together.
  public var shape: [Int]? {
    switch self {
    case .take(_, let shape): return shape
    case .add(_, let input), .cast(_, let input), .encode(_, let input), .pack(_, let input): return input.shape
    case .concatenate(let inputs):
      let shapes = inputs.compactMap(\.shape)
      guard let first = shapes.first, !first.isEmpty, shapes.count == inputs.count,
        shapes.allSatisfy({ $0.count == first.count && $0.dropFirst() == first.dropFirst() })
      else { return nil }
      var rows = 0
      for shape in shapes {
        let (sum, overflow) = rows.addingReportingOverflow(shape[0])
        guard !overflow else { return nil }
        rows = sum
      }
      return [rows] + first.dropFirst()
    }
  }

  /// Whether each row of the result is a row of one input, rounded or encoded at most, so that an engine's weights can serve as
  /// a source: an added constant cannot be taken back.
  public var isInvertible: Bool {
    switch self {
    case .take: true
    case .add(let constant, let input): constant == 0 && input.isInvertible
    case .cast(_, let input), .encode(_, let input), .pack(_, let input): input.isInvertible
    case .concatenate(let inputs): inputs.allSatisfy(\.isInvertible)
    }
  }

  /// The checkpoint tensors that go in, in order of their rows.
  public var inputs: [(name: String, shape: [Int])] {
    switch self {
    case .take(let name, let shape): [(name, shape)]
    case .add(_, let input), .cast(_, let input), .encode(_, let input), .pack(_, let input): input.inputs
    case .concatenate(let inputs): inputs.flatMap(\.inputs)
    }
  }
}
