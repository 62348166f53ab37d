public import Networks
public import Schemes
public import Tensors

/// What the planner must know of a machine: layouts that its kernels read, which kernels to use, and how far they go.
public protocol PlanTarget: Sendable {
  /// The plan's `target`, which chooses the back end that can run it.
  var name: String { get }
  /// The machine and instruction set that measured tactics hold for.
  var device: String { get }
  /// How a linear weight of this scheme is stored; nil where the target has no kernels for it.
  func linearLayout(_ scheme: NumberScheme) -> WeightLayout?
  /// How keys and values are kept beside weights of a type, where no other type is asked for.
  func cacheElementType(_ elementType: ElementType) -> ElementType
  /// Limits of the target that a plan goes beyond, each with what it asks for; empty where the target can run it.
  ///
  /// Asked by who builds, before anything is written, and again by who opens a file.
  func obstacles(to plan: Plan) -> [String]
  /// Whether the target has kernels for operations of this kind, in whatever form; what depends on the form is ``obstacles(to:)``.
  func hasKernels(for operation: Operation) -> Bool
  /// Whether the target has the kernel variants that a timing cache names.
  func hasKernels(for tactics: KernelTactics) -> Bool
  /// Measures every kernel variant for a product and names the fastest.
  func measure(_ problem: KernelProblem) -> KernelTactics
  /// What an engine of this plan is to carry beside its weights, such as compiled kernels. Equal plans get equal bytes from equal tools.
  ///
  /// Asked by who builds, once for each rank, when all else is known to be right. That a tool is missing is no error but a note.
  func artifacts(for plan: Plan) throws -> TargetArtifacts
}

extension PlanTarget {
  /// It has, where a target does not say otherwise.
  public func hasKernels(for operation: Operation) -> Bool { true }
  /// None, where a target does not say otherwise.
  public func artifacts(for plan: Plan) throws -> TargetArtifacts { TargetArtifacts() }
  /// How a linear weight of plain numbers is stored; nil where the target has no kernels for them.
  public func linearLayout(_ elementType: ElementType) -> WeightLayout? { linearLayout(.plain(elementType)) }
}
