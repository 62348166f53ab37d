import Networks
import OrderedCollections
import Tensors

extension Plan {
  /// Proves that every index is inside its table and that shapes agree, so that a back end may walk the plan
  /// without asking again. A plan comes from a file, and a file may lie.
  ///
  /// What depends on other ranks is ``EngineDirectory/disagreements(_:)``; what depends on a machine, ``PlanTarget/obstacles(to:)``.
  func check() throws(PlanFormatError) {
    try checkSizes()
    try checkValues()
    var total = 0
    for (name, weight) in weights {
      try check(name, weight)
      let sum = total.addingReportingOverflow(weight.stored.byteCount)
      try require(!sum.overflow, "the weights together are too large")
      total = sum.partialValue
    }
    try checkOperations()
    try checkArtifacts()
  }

  func require(_ condition: Bool, _ reason: @autoclosure () -> String) throws(PlanFormatError) {
    guard condition else { throw PlanFormatError(reason()) }
  }

  private func checkSizes() throws(PlanFormatError) {
    let worldSize = tensorParallel.multipliedReportingOverflow(by: pipelineParallel)
    try require(!worldSize.overflow && rank >= 0 && rank < worldSize.partialValue, "rank \(rank) is outside the mapping")
    try require(limits.tokens <= 1 << 24 && limits.sequenceLength <= 1 << 24, "limits are out of range")
    try require(caches.count <= 1 << 10 && rotaries.count <= 1 << 10, "it has too many caches or rotary embeddings")
    for (index, cache) in caches.enumerated() {
      try require(cache.layers >= 0 && cache.layers <= 1 << 16, "the layer count of cache \(index) is out of range")
      try require(cache.keyValueHeads <= 1 << 16 && cache.headSize <= 1 << 12, "the heads of cache \(index) are out of range")
      try require(cache.elementType == .float32 || cache.elementType == .bfloat16, "the element type of cache \(index) is not supported")
      try require(cache.elementType == caches[0].elementType, "its caches are of several element types")
    }
    for rotary in rotaries { try rotary.check() }
  }

  private func checkValues() throws(PlanFormatError) {
    try require(slots.slot.count == values.count, "values and slots differ in number")
    try require(slots.widths.allSatisfy { $0 >= 1 && $0 <= 1 << 24 }, "a slot's width is out of range")
    var slotRows: [Int: Value.Rows] = [:]
    var widest = [Int](repeating: 0, count: slots.widths.count)
    for (value, slot) in zip(values, slots.slot) {
      try require(slots.widths.indices.contains(slot), "value \"\(value.name)\" names slot \(slot) of \(slots.widths.count)")
      try require(value.width <= slots.widths[slot], "value \"\(value.name)\" is wider than its slot")
      try require(slotRows.updateValue(value.rows, forKey: slot) ?? value.rows == value.rows, "slot \(slot) mixes row kinds")
      widest[slot] = max(widest[slot], value.width)
    }
    // Buffers are as wide as what lives in them, whose widths are those of weights: a small file asks for little memory.
    try require(widest == slots.widths, "a slot is wider than every value in it")
  }

  private func check(_ name: String, _ weight: PlannedWeight) throws(PlanFormatError) {
    guard !EngineFile.isPadding(name) else { throw PlanFormatError("a weight is called \"\(name)\", as what fills up a file is") }
    guard weight.recipe.shape == weight.shape, weight.shape.count == 1 || weight.shape.count == 2,
      weight.shape.allSatisfy({ $0 >= 1 })
    else { throw PlanFormatError("the recipe of \"\(name)\" does not give its shape") }
    // A tile of work holds whole rows.
    guard weight.shape.count == 1 || weight.shape[1] <= 1 << 24 else { throw PlanFormatError("the rows of \"\(name)\" are too long") }
    let bytes = weight.stored.shape.reduce(into: (count: 64, overflow: false)) { sum, size in
      let (product, overflow) = sum.count.multipliedReportingOverflow(by: size)
      sum = (product, sum.overflow || overflow)
    }
    guard !bytes.overflow else { throw PlanFormatError("\"\(name)\" is too large") }
    let fits: Bool =
      switch weight.layout {
      case .rows: [.plain(.float32), .plain(.float16), .plain(.bfloat16)].contains(weight.scheme)
      case .panel16: [.plain(.float32), .plain(.float16)].contains(weight.scheme) && weight.shape.count == 2
      case .panel16x2: weight.scheme == .plain(.bfloat16) && weight.shape.count == 2
      case .panel16x4: weight.scheme.coding?.layout == .panel16x4 && weight.shape.count == 2
      }
    guard fits else { throw PlanFormatError("\"\(name)\" cannot be \(weight.scheme.name) in \(weight.layout.rawValue)") }
    guard RecipeProgram(weight) != nil else { throw PlanFormatError("the recipe of \"\(name)\" is not one this version runs") }
  }
}
