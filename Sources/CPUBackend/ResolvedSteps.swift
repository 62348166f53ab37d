import CPUKernels
import Engines
import Networks
import OrderedCollections

/// An operation with its names looked up.
@safe struct ResolvedStep {
  var operation: Operation
  var linear: dk_linear?
  var decodeTactic: Int32 = 0
  var prefillTactic: Int32 = 0
  /// Norm weight or embedding table.
  var vector: UnsafeRawPointer?
  var vectorType: dk_type = DK_F32
  var isPanel = false
  var tableRows = 0
}

/// A rank's operations with pointers into one version of its weights, which it keeps alive.
@safe final class ResolvedSteps: @unchecked Sendable {  // immutable, and nobody writes to weights
  let steps: [ResolvedStep]
  private let weights: RankWeights

  init(plan: Plan, weights: RankWeights, isa: dk_isa) {
    self.weights = weights
    steps = plan.operations.map { Self.resolve($0, plan: plan, weights: weights, isa: isa) }
  }

  private static func resolve(_ operation: Operation, plan: Plan, weights: RankWeights, isa: dk_isa) -> ResolvedStep {
    var step = unsafe ResolvedStep(operation: operation)
    switch operation {
    case .linear(_, let name, let bias, _):
      guard let weight = plan.weights[name] else { preconditionFailure("the plan was checked") }
      let type = dk_type(weight.elementType)
      unsafe step.linear = unsafe dk_linear(
        panels: weights.pointer(name), bias: bias.map { unsafe weights.pointer($0) }, n: Int64(weight.shape[0]),
        k: Int64(weight.shape[1]), type: type, bias_type: bias.flatMap { plan.weights[$0] }.map { dk_type($0.elementType) } ?? type)
      let tactics = plan.tactics.first {
        $0.outputs == weight.shape[0] && $0.inputs == weight.shape[1] && $0.elementType == weight.elementType
      }
      step.decodeTactic = Int32(TacticNames.decode(isa).firstIndex(of: tactics?.decode ?? "") ?? 0)
      step.prefillTactic = Int32(TacticNames.prefill(isa, type).firstIndex(of: tactics?.prefill ?? "") ?? 0)
    case .rmsNorm(_, let name, _, _), .addRMSNorm(_, _, let name, _, _), .embed(let name, _, _, _):
      guard let weight = plan.weights[name] else { preconditionFailure("the plan was checked") }
      unsafe step.vector = weights.pointer(name)
      step.vectorType = dk_type(weight.elementType)
      step.isPanel = weight.layout != .rows
      step.tableRows = weight.shape[0]
    default: break
    }
    return step
  }
}
