package import Engines
package import Networks

/// What a product of few rows does of the operations around it: `dk_linear_row` has the sum with the residual behind it, and of one row also
/// the norm of its input in front, in the arithmetic of the kernels that do nothing else.
package struct RowFusion: Equatable {
  /// With one row the input is the norm that stands before this operation: it is made of the value that the norm reads.
  package var norm: NormSource?
  /// The output is added to this value, and written nowhere else.
  package var sum: ValueID?

  package struct NormSource: Equatable {
    package var value: ValueID
    package var weight: String
    package var epsilon: Float
  }

  /// By the index of the product; of those that the kernel can compute.
  package static func all(in plan: Plan) -> [Int: RowFusion] {
    let gatings = Gating.all(in: plan)
    var reads: [ValueID: Int] = [:]
    for value in plan.operations.flatMap(\.uses.reads) { reads[value, default: 0] += 1 }
    func fits(_ linear: Linear, _ index: Int, isNormed: Bool) -> Bool {
      RowProductShape.fits(
        inputs: plan.values[linear.input.index].width, outputs: plan.values[linear.output.index].width, isGated: gatings[index] != nil,
        isNormed: isNormed)
    }
    var found: [Int: RowFusion] = [:]
    for index in plan.operations.indices {
      guard case .linear(let linear) = plan.operations[index], fits(linear, index, isNormed: false) else { continue }
      var fusion = RowFusion()
      if index > 0, case .norm(let norm) = plan.operations[index - 1], norm.output == linear.input, reads[norm.output] == 1,
        fits(linear, index, isNormed: true),
        // The sum that the norm begins with is the product's before it.
        norm.residual == nil || found[index - 2]?.sum == norm.residual,
        // Other blocks still read what is normed when one writes: the plan may give both one buffer.
        gatings[index] != nil || plan.slots.slot[linear.output.index] != plan.slots.slot[(norm.residual ?? norm.input).index]
      {
        fusion.norm = NormSource(value: norm.residual ?? norm.input, weight: norm.weight, epsilon: norm.epsilon)
      }
      if gatings[index] == nil, index + 1 < plan.operations.count, reads[linear.output] == 1 {
        switch plan.operations[index + 1] {
        case .norm(let norm) where norm.input == linear.output: fusion.sum = norm.residual
        case .add(let add) where add.value == linear.output: fusion.sum = add.target
        default: break
        }
        // Other blocks still read it.
        if let norm = fusion.norm, norm.value == fusion.sum { fusion.norm = nil }
      }
      found[index] = fusion
    }
    return found
  }
}
