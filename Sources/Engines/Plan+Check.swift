import Networks
import OrderedCollections
import Tensors

extension Plan {
  /// Proves that every index is inside its table and that shapes agree, so that a back end may walk the plan
  /// without asking again. A plan comes from a file, and a file may lie.
  func check() throws(PlanFormatError) {
    func require(_ condition: Bool, _ reason: @autoclosure () -> String) throws(PlanFormatError) {
      guard condition else { throw PlanFormatError(reason()) }
    }
    let worldSize = tensorParallel.multipliedReportingOverflow(by: pipelineParallel)
    try require(!worldSize.overflow && rank >= 0 && rank < worldSize.partialValue, "rank \(rank) is outside the mapping")
    try require(limits.tokens <= 1 << 24 && limits.sequenceLength <= 1 << 28, "limits are out of range")
    try require(slots.slot.count == values.count, "values and slots differ in number")
    var slotRows: [Int: Value.Rows] = [:]
    for (value, slot) in zip(values, slots.slot) {
      try require(slots.widths.indices.contains(slot), "value \"\(value.name)\" names slot \(slot) of \(slots.widths.count)")
      try require(value.width <= slots.widths[slot], "value \"\(value.name)\" is wider than its slot")
      try require(slotRows.updateValue(value.rows, forKey: slot) ?? value.rows == value.rows, "slot \(slot) mixes row kinds")
    }
    try require(slots.widths.allSatisfy { $0 >= 1 && $0 <= 1 << 24 }, "a slot's width is out of range")
    try require(cache.layers >= 0 && cache.layers <= 1 << 16, "the cache's layer count is out of range")
    try require(cache.elementType == .float32 || cache.elementType == .bfloat16, "the cache's element type is not supported")
    if let rotary {
      try require(rotary.dimension % 2 == 0 && rotary.dimension <= cache.headSize, "the rotary dimension does not fit a head")
    }
    for (name, weight) in weights { try check(name, weight) }

    func width(_ id: ValueID) throws(PlanFormatError) -> Int {
      try require(values.indices.contains(id.index), "an operation names value \(id.index) of \(values.count)")
      return values[id.index].width
    }
    func shape(_ name: String) throws(PlanFormatError) -> [Int] {
      guard let weight = weights[name] else { throw PlanFormatError("an operation names weight \"\(name)\", which the plan lacks") }
      return weight.shape
    }
    var written: Set<ValueID> = []
    for (index, operation) in operations.enumerated() {
      let at = "operation \(index)"
      for value in operation.uses.reads {
        _ = try width(value)
        try require(written.contains(value), "\(at) reads \"\(values[value.index].name)\" before anything wrote it")
      }
      for value in operation.uses.writes { _ = try width(value); written.insert(value) }
      let rows = (operation.uses.reads + operation.uses.writes).map { values[$0.index].rows }
      if case .select(let input, let output) = operation {
        try require(
          values[input.index].rows == .tokens && values[output.index].rows == .selected, "\(at) selects the wrong way")
      } else {
        try require(Set(rows).count <= 1, "\(at) mixes row kinds")
      }
      // Only in-place operations may share a buffer between what they read and what they write.
      let reads = Set(operation.uses.reads), writes = Set(operation.uses.writes)
      for read in reads {
        for write in writes where read != write {
          try require(slots.slot[read.index] != slots.slot[write.index], "\(at) would overwrite its input")
        }
      }
      switch operation {
      case .embed(let weight, let first, _, let output):
        let table = try shape(weight)
        let dimension = try width(output)
        try require(table.count == 2 && table[1] == dimension && first >= 0, "\(at): the embedding does not fit")
      case .rmsNorm(let input, let weight, _, let output):
        let (inputs, outputs) = (try width(input), try width(output))
        let gains = try shape(weight)
        try require(gains == [inputs] && outputs == inputs, "\(at): the norm does not fit")
      case .addRMSNorm(let residual, let delta, let weight, _, let output):
        let widths = [try width(residual), try width(delta), try width(output)]
        let gains = try shape(weight)
        try require(Set(widths).count == 1 && gains == [widths[0]], "\(at): the norm does not fit")
      case .linear(let input, let weight, let bias, let output):
        let (inputs, outputs) = (try width(input), try width(output))
        let found = try shape(weight)
        try require(found == [outputs, inputs], "\(at): weight \"\(weight)\" does not fit")
        if let bias {
          let found = try shape(bias)
          try require(found == [outputs], "\(at): bias \"\(bias)\" does not fit")
        }
        try require(weights[weight]?.layout != .rows, "\(at): weight \"\(weight)\" is not packed")
      case .attention(let a):
        let (heads, headSize) = (a.heads, a.headSize)
        try require(
          heads <= 1 << 16 && headSize <= 1 << 12 && a.keyValueHeads <= heads && heads % a.keyValueHeads == 0,
          "\(at): head counts do not fit")
        try require(a.keyValueHeads == cache.keyValueHeads && headSize == cache.headSize, "\(at): heads differ from the cache's")
        try require(a.layer >= 0 && a.layer < cache.layers, "\(at): layer \(a.layer) is outside the cache")
        let (qkv, output) = (try width(a.qkv), try width(a.output))
        try require(
          qkv == (heads + 2 * a.keyValueHeads) * headSize && output == heads * headSize,
          "\(at): the attention's widths do not fit")
      case .activatedProduct: throw PlanFormatError("\(at): an unfused gated activation")
      case .gatedActivation(let input, _, let output):
        let (inputs, outputs) = (try width(input), try width(output))
        try require(inputs == 2 * outputs, "\(at): the gated activation does not fit")
      case .add(let one, let other), .select(let one, let other):
        let (left, right) = (try width(one), try width(other))
        try require(left == right, "\(at): widths differ")
      case .allGather(let input, let output):
        let (product, overflow) = (try width(input)).multipliedReportingOverflow(by: tensorParallel)
        let gathered = try width(output)
        try require(!overflow && product == gathered, "\(at): the gathered width does not fit")
      case .allReduce, .send, .receive: break
      }
    }
    if pipelineRank == pipelineParallel - 1 {
      guard let last = operations.last?.uses.writes.first else { throw PlanFormatError("the plan computes nothing") }
      try require(
        values[last.index].rows == .selected && values[last.index].width >= vocabularySize,
        "the last operation does not give logits")
    }
  }

  private func check(_ name: String, _ weight: PlannedWeight) throws(PlanFormatError) {
    guard weight.recipe.shape == weight.shape, weight.shape.count == 1 || weight.shape.count == 2,
      weight.shape.allSatisfy({ $0 >= 1 })
    else { throw PlanFormatError("the recipe of \"\(name)\" does not give its shape") }
    let bytes = weight.stored.shape.reduce(into: (count: 8, overflow: false)) { sum, size in
      let (product, overflow) = sum.count.multipliedReportingOverflow(by: size)
      sum = (product, sum.overflow || overflow)
    }
    guard !bytes.overflow else { throw PlanFormatError("\"\(name)\" is too large") }
    let fits: Bool =
      switch weight.layout {
      case .rows: [.float32, .float16, .bfloat16].contains(weight.elementType)
      case .panel16: [.float32, .float16].contains(weight.elementType) && weight.shape.count == 2
      case .panel16x2: weight.elementType == .bfloat16 && weight.shape.count == 2
      }
    guard fits else { throw PlanFormatError("\"\(name)\" cannot be \(weight.elementType.rawValue) in \(weight.layout.rawValue)") }
    guard RecipeProgram(weight) != nil else { throw PlanFormatError("the recipe of \"\(name)\" is not one this version runs") }
  }
}
