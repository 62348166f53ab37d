package import CUDADriver
package import Engines
package import Networks
import OrderedCollections

/// An operation with its weights' addresses on the card.
package struct ResolvedStep {
  package var operation: Operation
  /// Weight and bias of a product, norm or table, norms of query and key heads; 0 for none.
  var weight: dk_cuda_pointer = 0
  var second: dk_cuda_pointer = 0
  /// Of an embedding table.
  var isPanel = false
  var tableRows = 0
  /// The output is written as products read it, in bfloat16, since nothing else reads it.
  package var packsOutput = false
  /// The input is.
  package var hasPackedInput = false
  /// Of a product.
  var gating: Gating?
  /// Of a product that `dk_linear_row` can compute.
  package var row: RowFusion?
  /// Of the norm in that.
  var gain: dk_cuda_pointer = 0
  /// With one row the product behind this norm makes it.
  package var isNormedInRow = false
  /// With few rows the product before does this sum, or the one that this norm begins with.
  package var isSummedInRow = false
}

/// A product, the gated activation of it, and a product of that, each read by nothing else: the first two can be one kernel.
///
/// That writes the activation's output while the first product's input is still read. The plan may give both the same buffer, since
/// to it one ends before the other begins; so such an output has a buffer of its own, ``StepBuffers/gated``.
package struct Gating: Equatable {
  package let activation: Activation
  package let output: ValueID

  /// By the index of the first product.
  package static func all(in plan: Plan) -> [Int: Gating] {
    var reads: [ValueID: Int] = [:]
    for value in plan.operations.flatMap(\.uses.reads) { reads[value, default: 0] += 1 }
    var found: [Int: Gating] = [:]
    for index in plan.operations.indices.dropLast(2) {
      guard case .linear(let first) = plan.operations[index],
        case .gated(let gate) = plan.operations[index + 1], gate.input == first.output,
        case .linear(let second) = plan.operations[index + 2], second.input == gate.output,
        reads[gate.input] == 1, reads[gate.output] == 1, plan.values[gate.output.index].width % 16 == 0
      else { continue }
      found[index] = Gating(activation: gate.activation, output: gate.output)
    }
    return found
  }
}

extension ResolvedStep {
  package static func resolve(_ plan: Plan, address: (String) -> dk_cuda_pointer) -> [ResolvedStep] {
    let packed = packedValues(plan)
    let gatings = Gating.all(in: plan)
    let rows = RowFusion.all(in: plan)
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
      if case .linear(let linear) = operation {
        step.hasPackedInput = packed.contains(linear.input)
        step.gating = gatings[index]
        step.row = rows[index]
        step.gain = rows[index]?.norm.map { address($0.weight) } ?? 0
      }
      switch operation {
      case .norm: (step.isNormedInRow, step.isSummedInRow) = (rows[index + 1]?.norm != nil, rows[index - 1]?.sum != nil)
      case .add: step.isSummedInRow = rows[index - 1]?.sum != nil
      default: break
      }
      return step
    }
  }

  /// What an operation can write in packed form.
  private static func packingOutput(_ operation: Operation) -> ValueID? {
    switch operation {
    case .norm(let norm): norm.output
    case .gated(let gated): gated.output
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
