public import Networks
public import Tensors

/// What the planner must know of a machine: layouts that its kernels read, and which kernels to use.
public protocol PlanTarget: Sendable {
  /// The plan's `target`, which chooses the back end that can run it.
  var name: String { get }
  /// The machine and instruction set that measured tactics hold for.
  var device: String { get }
  /// How a linear weight of this type is stored; nil where the target has no kernels for it.
  func linearLayout(_ elementType: ElementType) -> WeightLayout?
  func cacheElementType(_ elementType: ElementType) -> ElementType
  /// Whether the target has the kernel variants that a timing cache names.
  func hasKernels(for tactics: LinearTactics) -> Bool
  /// Measures every kernel variant for a linear weight `[outputs, inputs]` and names the fastest.
  func measure(outputs: Int, inputs: Int, elementType: ElementType) -> LinearTactics
}
