import Networks
import OrderedCollections

extension Plan {
  /// Proves that operations read what was written, into buffers of the right size, from weights of the right shape.
  func checkOperations() throws(PlanFormatError) {
    // By slot: the value whose numbers it holds.
    var holders: [Int: ValueID] = [:]
    var layers = caches.map { _ in Set<Int>() }
    let view = PlanView(
      values: values, caches: caches, rotaries: rotaries, tensorParallel: tensorParallel, isFirstStage: pipelineRank == 0,
      isLastStage: pipelineRank == pipelineParallel - 1,
      weight: { name in weights[name].map { PlanView.Weight(shape: $0.shape, isPacked: $0.layout != .rows, isPlain: $0.scheme.coding == nil) } })
    for (index, operation) in operations.enumerated() {
      do {
        try checkUses(of: operation, &holders)
        try operation.body.check(view)
        if case .attention(let attention) = operation {
          try require(
            layers[attention.cache].insert(attention.layer).inserted, "another attention has layer \(attention.layer) of cache \(attention.cache)")
        }
      } catch { throw PlanFormatError("operation \(index) (\(operation.name)): \(error.reason)") }
    }
    for (index, cache) in caches.enumerated() {
      try require(layers[index].count == cache.layers, "cache \(index) has \(cache.layers) layers, its attentions are \(layers[index].count)")
    }
    guard view.isLastStage else { return }
    guard let writes = operations.last?.uses.writes, let last = writes.first else { throw PlanFormatError("the plan computes nothing") }
    try require(writes.count == 1, "the last operation gives more than logits")
    try require(
      values[last.index].rows == .selected && values[last.index].width >= vocabularySize, "the last operation does not give logits")
  }

  /// Every value exists, is still where it was written when it is read, and is not overwritten while it is read.
  private func checkUses(of operation: Operation, _ holders: inout [Int: ValueID]) throws(PlanFormatError) {
    let (reads, writes) = operation.uses
    for value in reads + writes {
      try require(values.indices.contains(value.index), "it names value \(value.index) of \(values.count)")
    }
    for value in reads {
      try require(holders[slots.slot[value.index]] == value, "it reads \"\(values[value.index].name)\", which nothing wrote or something else was written over")
    }
    // In place is what is meant to be: threads write rows of an output while others read the input.
    let inPlace = operation.body.inPlace
    for read in reads {
      for write in writes where read != write || read != inPlace {
        try require(slots.slot[read.index] != slots.slot[write.index], "it would overwrite its input")
      }
    }
    for value in operation.body.consumes { holders[slots.slot[value.index]] = nil }
    for value in writes { holders[slots.slot[value.index]] = value }
  }
}
