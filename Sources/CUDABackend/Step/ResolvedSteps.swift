import CUDADriver
import Engines
import Networks
import OrderedCollections

/// An operation with its weights' addresses on the card.
struct ResolvedStep {
  var operation: Operation
  /// Weight and bias of a product, norm or table, norms of query and key heads; 0 for none.
  var weight: dk_cuda_pointer = 0
  var second: dk_cuda_pointer = 0
  /// Of an embedding table.
  var isPanel = false
  var tableRows = 0
  /// The output is written as products read it, in bfloat16, since nothing else reads it.
  var packsOutput = false
  /// The input is.
  var hasPackedInput = false
  /// A product that only the gated activation behind it reads: what that does, and the value that it writes.
  var gating: (activation: Activation, output: ValueID)?
}

extension ResolvedStep {
  static func resolve(_ plan: Plan, address: (String) -> dk_cuda_pointer) -> [ResolvedStep] {
    let packed = packedValues(plan)
    var reads: [ValueID: Int] = [:]
    for value in plan.operations.flatMap(\.uses.reads) { reads[value, default: 0] += 1 }
    return plan.operations.enumerated().map { index, operation in
      var step = ResolvedStep(operation: operation)
      let names = operation.weightNames
      if let first = names.first {
        step.weight = address(first)
        step.isPanel = plan.weights[first]?.layout != .rows
        step.tableRows = plan.weights[first]?.shape[0] ?? 0
      }
      if names.count > 1 { step.second = address(names[1]) }
      if let output = packingOutput(operation) { step.packsOutput = packed.contains(output) }
      if case .linear(let input, _, _, let product) = operation {
        step.hasPackedInput = packed.contains(input)
        if reads[product] == 1, index + 1 < plan.operations.count, case .gatedActivation(product, let activation, let output) = plan.operations[index + 1],
          packed.contains(output), plan.values[output.index].width % 16 == 0
        {
          step.gating = (activation, output)
        }
      }
      return step
    }
  }

  /// What an operation can write in packed form.
  private static func packingOutput(_ operation: Operation) -> ValueID? {
    switch operation {
    case .rmsNorm(_, _, _, let output), .addRMSNorm(_, _, _, _, let output), .gatedActivation(_, _, let output): output
    case .attention(let attention): attention.output
    default: nil
    }
  }

  /// Values that only products read, and that one operation writes which can pack them.
  private static func packedValues(_ plan: Plan) -> Set<ValueID> {
    var found: Set<ValueID> = [], written: Set<ValueID> = [], others: Set<ValueID> = [], read: Set<ValueID> = []
    for operation in plan.operations {
      for value in operation.uses.writes where !written.insert(value).inserted { others.insert(value) }
      if let output = packingOutput(operation) { found.insert(output) }
      read.formUnion(operation.uses.reads)
      if case .linear = operation { continue }
      others.formUnion(operation.uses.reads)
    }
    return found.intersection(read).subtracting(others)
  }
}
