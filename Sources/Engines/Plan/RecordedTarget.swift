public import Families
import Checkpoints
import Networks
import OrderedCollections
import Schemes
import Tensors

/// Answers as the target of a plan answered when it was made, so that the plan can be made again on any machine.
struct RecordedTarget: PlanTarget {
  let plan: Plan

  init(_ plan: Plan) { self.plan = plan }

  var name: String { plan.target }
  var device: String { "" }
  /// Where the plan has no such weight, one that is none of the plan's either: any layout makes another plan.
  func linearLayout(_ scheme: NumberScheme) -> WeightLayout? {
    plan.weights.values.first { $0.layout != .rows && $0.scheme == scheme }?.layout ?? scheme.coding?.layout ?? .panel16
  }
  func cacheElementType(_ elementType: ElementType) -> ElementType { plan.caches.first?.elementType ?? elementType }
  func obstacles(to plan: Plan) -> [String] { [] }
  /// Tactics change speed, never results: a plan that is only compared has none.
  func hasKernels(for tactics: KernelTactics) -> Bool { false }
  func measure(_ problem: KernelProblem) -> KernelTactics {
    KernelTactics(problem, decode: "", prefill: "")
  }
}

extension Plan {
  /// What this version's planner makes of a configuration with the choices that the maker of this plan had.
  ///
  /// - Throws: ``UnsupportedModel``.
  func again(_ config: CheckpointConfig) throws(UnsupportedModel) -> Plan {
    let shares = operations.contains { if case .linear(let linear) = $0 { linear.weight == EmbeddingSharing.embedding } else { false } }
    let scope: RefitScope = weights.values.contains { $0.role == .embedding && $0.isRefittable } ? .all : .standard
    var planner = Planner(target: RecordedTarget(self), limits: limits.again(config), scope: scope)
    return try planner.plan(config: config, rank: rank, sharesEmbedding: shares)
  }
}
