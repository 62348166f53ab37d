import Networks
import OrderedCollections

extension Plan {
  /// Proves that operations read what was written, into buffers of the right size, from weights of the right shape.
  func checkOperations() throws(PlanFormatError) {
    var written: Set<ValueID> = []
    var cacheLayers: Set<Int> = []
    for (index, operation) in operations.enumerated() {
      let at = "operation \(index)"
      try checkUses(of: operation, at, &written)
      try checkRows(of: operation, at)
      try checkShapes(of: operation, at)
      if case .attention(let attention) = operation {
        try require(cacheLayers.insert(attention.layer).inserted, "\(at): another attention has layer \(attention.layer) of the cache")
      }
    }
    try require(cacheLayers.count == cache.layers, "the cache has \(cache.layers) layers, the attentions are \(cacheLayers.count)")
    guard pipelineRank == pipelineParallel - 1 else { return }
    guard let last = operations.last?.uses.writes.first else { throw PlanFormatError("the plan computes nothing") }
    try require(
      values[last.index].rows == .selected && values[last.index].width >= vocabularySize, "the last operation does not give logits")
  }

  /// Every value exists, was written before it is read, and is not overwritten while it is read.
  private func checkUses(of operation: Operation, _ at: String, _ written: inout Set<ValueID>) throws(PlanFormatError) {
    let (reads, writes) = operation.uses
    for value in reads + writes {
      try require(values.indices.contains(value.index), "\(at) names value \(value.index) of \(values.count)")
    }
    for value in reads { try require(written.contains(value), "\(at) reads \"\(values[value.index].name)\" before anything wrote it") }
    written.formUnion(writes)
    // In place is what is meant to be: threads write rows of an output while others read the input.
    let inPlace: ValueID? =
      switch operation {
      case .addRMSNorm(let residual, _, _, _, _): residual
      case .add(let target, _): target
      case .allReduce(let value): value
      default: nil
      }
    for read in reads {
      for write in writes where read != write || read != inPlace {
        try require(slots.slot[read.index] != slots.slot[write.index], "\(at) would overwrite its input")
      }
    }
    if case .addRMSNorm(let residual, let delta, _, _, _) = operation {
      try require(residual != delta, "\(at) adds a value to itself")
    }
  }

  /// Token rows and selected rows differ in number, and so do buffers for them.
  private func checkRows(of operation: Operation, _ at: String) throws(PlanFormatError) {
    let (reads, writes) = operation.uses
    switch operation {
    case .select(let input, let output):
      try require(
        values[input.index].rows == .tokens && values[output.index].rows == .selected, "\(at) selects the wrong way")
    case .embed, .attention:
      try require(
        (reads + writes).allSatisfy { values[$0.index].rows == .tokens }, "\(at) works on token rows, and names selected ones")
    default: try require(Set((reads + writes).map { values[$0.index].rows }).count <= 1, "\(at) mixes row kinds")
    }
  }

  private func checkShapes(of operation: Operation, _ at: String) throws(PlanFormatError) {
    func width(_ id: ValueID) -> Int { values[id.index].width }
    func shape(_ name: String) throws(PlanFormatError) -> [Int] {
      guard let weight = weights[name] else { throw PlanFormatError("\(at) names weight \"\(name)\", which the plan lacks") }
      return weight.shape
    }
    switch operation {
    case .embed(let weight, let first, let scale, let output):
      let table = try shape(weight)
      try require(
        table.count == 2 && table[1] == width(output) && first >= 0 && scale.isFinite, "\(at): the embedding does not fit")
    case .rmsNorm(let input, let weight, let epsilon, let output):
      let gains = try shape(weight)
      try require(gains == [width(input)] && width(output) == width(input) && epsilon.isFinite, "\(at): the norm does not fit")
    case .addRMSNorm(let residual, let delta, let weight, let epsilon, let output):
      let gains = try shape(weight)
      try require(
        Set([residual, delta, output].map(width)).count == 1 && gains == [width(residual)] && epsilon.isFinite,
        "\(at): the norm does not fit")
    case .linear(let input, let weight, let bias, let output):
      let found = try shape(weight)
      try require(found == [width(output), width(input)], "\(at): weight \"\(weight)\" does not fit")
      if let bias {
        let found = try shape(bias)
        try require(found == [width(output)], "\(at): bias \"\(bias)\" does not fit")
      }
      try require(weights[weight]?.layout != .rows, "\(at): weight \"\(weight)\" is not packed")
    case .attention(let attention):
      try check(attention, at)
      for name in operation.weightNames {
        let gains = try shape(name)
        try require(gains == [attention.headSize] && attention.norms?.epsilon.isFinite == true, "\(at): the norm \"\(name)\" does not fit")
      }
    case .activatedProduct: throw PlanFormatError("\(at): an unfused gated activation")
    case .gatedActivation(let input, _, let output):
      try require(width(input) == 2 * width(output), "\(at): the gated activation does not fit")
    case .add(let one, let other), .select(let one, let other):
      try require(width(one) == width(other), "\(at): widths differ")
    case .allGather(let input, let output):
      let (product, overflow) = width(input).multipliedReportingOverflow(by: tensorParallel)
      try require(!overflow && product == width(output), "\(at): the gathered width does not fit")
    case .allReduce: break
    case .send: try require(pipelineRank < pipelineParallel - 1, "\(at): the last stage has nobody to send to")
    case .receive: try require(pipelineRank > 0, "\(at): the first stage has nobody to receive from")
    }
  }

  private func check(_ attention: Operation.Attention, _ at: String) throws(PlanFormatError) {
    let (heads, keyValueHeads, headSize) = (attention.heads, attention.keyValueHeads, attention.headSize)
    try require(
      heads <= 1 << 16 && keyValueHeads <= heads && heads % keyValueHeads == 0 && attention.scale.isFinite,
      "\(at): head counts do not fit")
    // Which also bounds them.
    try require(keyValueHeads == cache.keyValueHeads && headSize == cache.headSize, "\(at): heads differ from the cache's")
    try require(
      attention.layer >= 0 && attention.layer < cache.layers, "\(at): layer \(attention.layer) is outside the cache")
    try require(
      values[attention.qkv.index].width == (heads + 2 * keyValueHeads) * headSize
        && values[attention.output.index].width == heads * headSize,
      "\(at): the attention's widths do not fit")
  }
}
