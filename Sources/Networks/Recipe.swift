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
  /// Arranges the elements for the target's kernels.
  case pack(WeightLayout, Recipe)
}

/// Where element (n, k) of a weight `[N, K]` lies. See `docs/architecture.md`, "Packed weight layouts".
public enum WeightLayout: String, Sendable, Hashable, CaseIterable {
  /// Row-major `[N, K]`, or a vector `[N]`.
  case rows
  /// Panels of 16 rows, `[⌈N/16⌉, K, 16]`: float16 and float32.
  case panel16
  /// Panels of 16 rows with pairs along K, `[⌈N/16⌉, ⌈K/2⌉, 16, 2]`: bfloat16.
  case panel16x2

  /// Output rows in a panel: packed weights are made and read in multiples of it.
  public static let panelRows = 16

  /// The shape that a weight of logical shape `shape` has in the engine file.
  public func storedShape(of shape: [Int]) -> [Int] {
    guard self != .rows, shape.count == 2 else { return shape }
    let panels = (shape[0] + Self.panelRows - 1) / Self.panelRows
    return self == .panel16 ? [panels, shape[1], Self.panelRows] : [panels, (shape[1] + 1) / 2, Self.panelRows, 2]
  }
}

extension Recipe {
  /// The logical shape of the result, or nil where the inputs do not fit together.
  public var shape: [Int]? {
    switch self {
    case .take(_, let shape): return shape
    case .add(_, let input), .cast(_, let input), .pack(_, let input): return input.shape
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

  /// The checkpoint tensors that go in, in order of their rows.
  public var inputs: [(name: String, shape: [Int])] {
    switch self {
    case .take(let name, let shape): [(name, shape)]
    case .add(_, let input), .cast(_, let input), .pack(_, let input): input.inputs
    case .concatenate(let inputs): inputs.flatMap(\.inputs)
    }
  }
}
