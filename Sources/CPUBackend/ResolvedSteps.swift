import CPUKernels
import Engines
import Networks
import OrderedCollections
import Tensors

/// An operation with its names looked up.
@safe struct ResolvedStep {
  var operation: Operation
  var linear: dk_linear?
  /// Heads and scale of this very attention.
  var attention: dk_attention_shape?
  /// Norms of query heads and key heads.
  var queryNorm: UnsafeRawPointer?
  var keyNorm: UnsafeRawPointer?
  var decodeTactic: Int32 = 0
  var prefillTactic: Int32 = 0
  /// Norm weight or embedding table.
  var vector: UnsafeRawPointer?
  var vectorType: dk_type = DK_F32
  var keyNormType: dk_type = DK_F32
  var isPanel = false
  var tableRows = 0
}

/// A rank's operations with pointers into one version of its weights, which it keeps alive.
@safe final class ResolvedSteps: @unchecked Sendable {  // immutable, and nobody writes to weights
  let steps: [ResolvedStep]
  private let weights: RankWeights

  init(plan: Plan, weights: RankWeights, isa: dk_isa) {
    self.weights = weights
    // The first of equals counts; a table, since a file may hold many.
    let tactics = Dictionary(plan.tactics.map { (Shape($0.outputs, $0.inputs, $0.elementType), $0) }) { first, _ in first }
    steps = plan.operations.map { Self.resolve($0, plan: plan, tactics: tactics, weights: weights, isa: isa) }
  }

  private struct Shape: Hashable {
    let outputs: Int
    let inputs: Int
    let elementType: ElementType
    init(_ outputs: Int, _ inputs: Int, _ elementType: ElementType) { (self.outputs, self.inputs, self.elementType) = (outputs, inputs, elementType) }
  }

  private static func resolve(
    _ operation: Operation, plan: Plan, tactics: [Shape: LinearTactics], weights: RankWeights, isa: dk_isa
  ) -> ResolvedStep {
    var step = unsafe ResolvedStep(operation: operation)
    switch operation {
    case .linear(_, let name, let bias, _):
      guard let weight = plan.weights[name] else { preconditionFailure("the plan was checked") }
      let type = dk_type(weight.elementType)
      unsafe step.linear = unsafe dk_linear(
        panels: weights.pointer(name), bias: bias.map { unsafe weights.pointer($0) }, n: Int64(weight.shape[0]),
        k: Int64(weight.shape[1]), type: type, bias_type: bias.flatMap { plan.weights[$0] }.map { dk_type($0.elementType) } ?? type)
      let tactics = tactics[Shape(weight.shape[0], weight.shape[1], weight.elementType)]
      step.decodeTactic = Int32(TacticNames.decode(isa).firstIndex(of: tactics?.decode ?? "") ?? 0)
      step.prefillTactic = Int32(TacticNames.prefill(isa, type).firstIndex(of: tactics?.prefill ?? "") ?? 0)
    case .rmsNorm(_, let name, _, _), .addRMSNorm(_, _, let name, _, _), .embed(let name, _, _, _):
      guard let weight = plan.weights[name] else { preconditionFailure("the plan was checked") }
      unsafe step.vector = weights.pointer(name)
      step.vectorType = dk_type(weight.elementType)
      step.isPanel = weight.layout != .rows
      step.tableRows = weight.shape[0]
    case .attention(let attention):
      step.attention = dk_attention_shape(
        heads: Int32(attention.heads), kv_heads: Int32(attention.keyValueHeads), head_dim: Int32(attention.headSize),
        cache_type: dk_type(plan.cache.elementType), scale: attention.scale)
      if let norms = attention.norms {
        guard let queries = plan.weights[norms.queries], let keys = plan.weights[norms.keys] else { preconditionFailure("the plan was checked") }
        unsafe step.queryNorm = weights.pointer(norms.queries)
        unsafe step.keyNorm = weights.pointer(norms.keys)
        (step.vectorType, step.keyNormType) = (dk_type(queries.elementType), dk_type(keys.elementType))
      }
    default: break
    }
    return step
  }
}
