/// Where element (n, k) of a weight `[N, K]` lies. See `docs/architecture.md`, "Packed weight layouts".
public enum WeightLayout: String, Sendable, Hashable, CaseIterable {
  /// Row-major `[N, K]`, or a vector `[N]`.
  case rows
  /// Panels of 16 rows, `[⌈N/16⌉, K, 16]`: float16 and float32.
  case panel16
  /// Panels of 16 rows with pairs along K, `[⌈N/16⌉, ⌈K/2⌉, 16, 2]`: bfloat16.
  case panel16x2
  /// Panels of 16 rows, each 16 scales in float32 and then codes of 8 bits with fours along K, `[⌈K/4⌉, 16, 4]`.
  case panel16x4

  /// Output rows in a panel: packed weights are made and read in multiples of it.
  public static let panelRows = 16

  /// The shape that a plain weight of logical shape `shape` has in the engine file.
  public func storedShape(of shape: [Int]) -> [Int] {
    guard self != .rows, shape.count == 2 else { return shape }
    let panels = (shape[0] + Self.panelRows - 1) / Self.panelRows
    return self == .panel16x2 ? [panels, (shape[1] + 1) / 2, Self.panelRows, 2] : [panels, shape[1], Self.panelRows]
  }
}
