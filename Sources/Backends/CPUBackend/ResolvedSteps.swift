import CPUKernels
import Engines
import Networks
import OrderedCollections
import Schemes
import Tensors

/// An operation with its names looked up.
@safe struct ResolvedStep {
  var operation: Operation
  var product: ResolvedProduct?
  var experts: ResolvedExperts?
  /// Heads and scale of this very attention.
  var attention: dk_attention_shape?
  /// Norms of query heads and key heads.
  var queryNorm: ResolvedVector?
  var keyNorm: ResolvedVector?
  /// Held for the attention's shape, which points to it.
  var sinks: AlignedBuffer?
  /// Index into all pools of cache blocks.
  var pool = 0
  /// Norm weight or embedding table.
  var vector: ResolvedVector?
  var bias: ResolvedVector?
  var isPanel = false
  var tableRows = 0
}

/// A weight in panels, and the kernels that multiply with it.
@safe struct ResolvedProduct {
  var linear: dk_linear
  var decodeTactic: Int32
  var prefillTactic: Int32
}

/// A weight in rows.
@safe struct ResolvedVector {
  var pointer: UnsafeRawPointer
  var type: dk_type
}

/// A rank's operations with pointers into one version of its weights, which it keeps alive.
@safe final class ResolvedSteps: @unchecked Sendable {  // immutable, and nobody writes to weights
  let steps: [ResolvedStep]
  private let weights: RankWeights

  init(plan: Plan, weights: RankWeights, isa: dk_isa) {
    self.weights = weights
    // The first of equals counts; a table, since a file may hold many.
    let tactics = Dictionary(plan.tactics.map { ($0.problem, $0) }) { first, _ in first }
    steps = plan.operations.map { Self.resolve($0, plan: plan, tactics: tactics, weights: weights, isa: isa) }
  }

  private static func resolve(
    _ operation: Operation, plan: Plan, tactics: [KernelProblem: KernelTactics], weights: RankWeights, isa: dk_isa
  ) -> ResolvedStep {
    func planned(_ name: String) -> PlannedWeight {
      guard let weight = plan.weights[name] else { preconditionFailure("the plan was checked") }
      return weight
    }
    func vector(_ name: String) -> ResolvedVector { unsafe ResolvedVector(pointer: weights.pointer(name), type: dk_type(planned(name).scheme)) }
    /// - Parameter matrices: Of equal size, one below the other; the first is what is multiplied with.
    func product(_ name: String, bias: String? = nil, matrices: Int = 1) -> ResolvedProduct {
      let weight = planned(name)
      let type = dk_type(weight.scheme)
      let linear = unsafe dk_linear(
        panels: weights.pointer(name), bias: bias.map { unsafe weights.pointer($0) }, n: Int64(weight.shape[0] / matrices),
        k: Int64(weight.shape[1]), type: type, bias_type: bias.map { dk_type(planned($0).scheme) } ?? type)
      // Engines of before measured a stack as one matrix.
      let tactics = tactics[KernelProblem(WeightProduct(name, matrices: matrices), with: weight)] ?? tactics[KernelProblem(WeightProduct(name), with: weight)]
      return unsafe ResolvedProduct(
        linear: linear, decodeTactic: Int32(TacticNames.decode(isa).firstIndex(of: tactics?.decode ?? "") ?? 0),
        prefillTactic: Int32(TacticNames.prefill(isa, type).firstIndex(of: tactics?.prefill ?? "") ?? 0))
    }
    func byteCount(_ name: String, matrices: Int) -> Int { planned(name).stored.byteCount / matrices }
    var step = ResolvedStep(operation: operation)
    switch operation {
    case .linear(let linear): step.product = product(linear.weight, bias: linear.bias)
    case .routing(let routing): step.product = product(routing.weight)
    case .experts(let experts):
      step.experts = ResolvedExperts(
        fused: product(experts.fused, matrices: experts.count), down: product(experts.down, matrices: experts.count),
        strides: (byteCount(experts.fused, matrices: experts.count), byteCount(experts.down, matrices: experts.count)))
    case .norm(let norm):
      step.vector = vector(norm.weight)
      step.bias = norm.bias.map(vector)
    case .embed(let embed):
      let weight = planned(embed.weight)
      step.vector = vector(embed.weight)
      step.isPanel = weight.layout != .rows
      step.tableRows = weight.shape[0]
    case .attention(let attention):
      step.queryNorm = (attention.queryNorm?.weight).map(vector)
      step.keyNorm = (attention.keyNorm?.weight).map(vector)
      step.pool = plan.caches[..<attention.cache].reduce(attention.layer) { $0 + $1.layers }
      step.sinks = attention.sinks.map { floats(vector($0), count: attention.heads) }
      unsafe step.attention = unsafe dk_attention_shape(
        heads: Int32(attention.heads), kv_heads: Int32(attention.keyValueHeads), head_dim: Int32(attention.headSize),
        cache_type: dk_type(plan.caches[attention.cache].elementType), scale: attention.scale, window: Int64(attention.window ?? 0),
        soft_cap: attention.softCap ?? 0, sinks: UnsafePointer(step.sinks?.floats))
    case .activatedProduct, .gated, .unary, .add, .select, .allReduce, .allGather, .send, .receive: break
    }
    return step
  }

  private static func floats(_ vector: ResolvedVector, count: Int) -> AlignedBuffer {
    guard let buffer = try? AlignedBuffer(reserving: count * MemoryLayout<Float>.stride) else { preconditionFailure("no memory for \(count) numbers") }
    unsafe dk_convert(DK_PORTABLE, buffer.base, DK_F32, vector.pointer, vector.type, Int64(count))
    return buffer
  }
}
