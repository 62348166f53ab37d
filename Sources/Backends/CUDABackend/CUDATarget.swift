public import Engines
public import Networks
public import Schemes
import OrderedCollections
public import Tensors

/// What the CUDA kernels want of a plan. Needs no card: there is one kernel for each product, so nothing is measured.
public struct CUDATarget: PlanTarget {
  private let kernels: KernelArtifacts
  /// For engines that carry no compiled kernels. Asks no card: the same on a machine without one.
  public init() { self.init(kernels: .none) }
  init(kernels: KernelArtifacts) { self.kernels = kernels }

  public var name: String { CUDA.name }
  public var device: String { CUDA.name }

  public func linearLayout(_ scheme: NumberScheme) -> WeightLayout? { scheme == .plain(.bfloat16) ? .panel16x2 : nil }
  public func cacheElementType(_ elementType: ElementType) -> ElementType { .bfloat16 }
  public func hasKernels(for operation: Operation) -> Bool {
    switch operation {
    case .routing, .experts: false
    default: true
    }
  }
  public func obstacles(to plan: Plan) -> [String] { CUDALimits.obstacles(to: plan) }

  public func artifacts(for plan: Plan) throws -> TargetArtifacts { try kernels.make(headSize: plan.cache.headSize) }

  private static let tactic = "chain16"
  public func hasKernels(for tactics: KernelTactics) -> Bool { tactics.decode == Self.tactic && tactics.prefill == Self.tactic }
  public func measure(_ problem: KernelProblem) -> KernelTactics {
    KernelTactics(problem, decode: Self.tactic, prefill: Self.tactic)
  }
}

/// How far the kernels go. A kernel checks nothing: what is not refused here is computed.
enum CUDALimits {
  /// Elements of an attention head: a query's share of registers.
  static let headSize = 256

  /// See ``PlanTarget/obstacles(to:)``.
  static func obstacles(to plan: Plan) -> [String] {
    var found: [String] = []
    func refuse(_ condition: Bool, _ reason: String) { if condition { found.append(reason) } }
    refuse(plan.caches.count != 1, "its layers have \(plan.caches.count) kinds of keys and values, and the CUDA kernels know one")
    refuse(plan.rotaries.count > 1, "its layers turn positions in \(plan.rotaries.count) ways, and the CUDA kernels know one")
    if let operation = plan.operations.first(where: { !hasKernel(for: $0, of: plan) }) {
      found.append("the CUDA back end has no kernel for an operation \"\(operation.name)\" of this form yet: build for cpu")
    }
    refuse(plan.cache.headSize > headSize, "head_size is \(plan.cache.headSize), and the CUDA kernels go to \(headSize)")
    refuse(plan.vocabularySize > Int(Int32.max), "vocab_size is \(plan.vocabularySize), and the CUDA kernels go to \(Int32.max)")
    let ranks = plan.tensorParallel * plan.pipelineParallel
    refuse(ranks > 1, "the model is split over \(ranks) ranks, and the CUDA back end runs one: convert it with --tp_size 1 --pp_size 1")
    refuse(
      plan.cache.elementType != .bfloat16,
      "--kv_cache_dtype is \(plan.cache.elementType.configName ?? plan.cache.elementType.rawValue), and the CUDA kernels keep keys and values in bfloat16")
    if let other = plan.weights.values.first(where: { $0.scheme != .plain(.bfloat16) || $0.layout == .panel16 }) {
      // Vectors are kept wider than the model's type where a family computes with them so: no option changes that.
      let isMatrix = other.shape.count > 1
      found.append("the CUDA kernels read bfloat16 weights, no \(other.scheme.name) \(isMatrix ? "ones: build with --dtype bfloat16" : "vectors: build for cpu")")
    }
    return found
  }

  private static func hasKernel(for operation: Operation, of plan: Plan) -> Bool {
    switch operation {
    case .norm(let norm): norm.kind == .rms
    case .attention(let attention):
      attention.window == nil && attention.softCap == nil && attention.sinks == nil && (attention.rotary != nil) == !plan.rotaries.isEmpty
        && (attention.queryNorm == nil) == (attention.keyNorm == nil) && attention.queryNorm?.epsilon == attention.keyNorm?.epsilon
        && attention.queryNorm?.spansHeads != true && attention.keyNorm?.spansHeads != true
    case .gated(let gated): gated.limits == nil
    case .unary, .routing, .experts: false
    // Several ranks are refused as such.
    case .embed, .linear, .activatedProduct, .add, .select, .allReduce, .allGather, .send, .receive: true
    }
  }
}
