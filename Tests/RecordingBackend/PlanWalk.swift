import Engines
import Networks

/// Walks a plan's operations as an executor does and checks every buffer that they read and write: a value must be where its
/// slot says when it is read, however slots are shared.
struct PlanWalk {
  let plan: Plan
  /// What each slot holds.
  private var held: [ValueID?]
  private var layers: [[Int]]
  /// Collectives and what goes between stages, in order: all ranks of a stage must have the same.
  private(set) var exchanges: [String] = []

  init(_ plan: Plan) throws(Fault) {
    self.plan = plan
    held = Array(repeating: nil, count: plan.slots.widths.count)
    layers = plan.caches.map { _ in [] }
    for operation in plan.operations { try perform(operation) }
    try require(layers == plan.caches.map { Array(0..<$0.layers) }, "layers of the caches used in the order \(layers)")
  }

  private func slot(_ value: ValueID) throws(Fault) -> Int {
    try require(plan.values.indices.contains(value.index), "value \(value.index) of \(plan.values.count)")
    let slot = plan.slots.slot[value.index]
    try require(plan.slots.widths.indices.contains(slot), "slot \(slot) of \(plan.slots.widths.count)")
    try require(plan.values[value.index].width <= plan.slots.widths[slot], "value \(value.index) is wider than its slot \(slot)")
    return slot
  }

  private mutating func perform(_ operation: Operation) throws(Fault) {
    for value in operation.uses.reads {
      let holder = held[try slot(value)]
      try require(holder == value, "\(operation) reads value \(value.index), whose slot holds \(holder.map { "value \($0.index)" } ?? "nothing")")
    }
    for name in operation.weightNames {
      guard let weight = plan.weights[name] else { throw Fault("\(operation) reads the weight \(name), which the plan lacks") }
      try require(weight.layout == .rows || weight.shape.count == 2, "\(name) is packed and has the shape \(weight.shape)")
    }
    switch operation {
    case .attention(let attention):
      try require(plan.caches.indices.contains(attention.cache), "\(operation) names a cache that the plan lacks")
      layers[attention.cache].append(attention.layer)
      let cache = plan.caches[attention.cache]
      try require(attention.keyValueHeads == cache.keyValueHeads && attention.headSize == cache.headSize, "\(operation) has another cache's heads")
      if let rotary = attention.rotary { try require(plan.rotaries.indices.contains(rotary), "\(operation) turns by what the plan lacks") }
    case .allReduce, .send, .receive, .allGather:
      guard let value = operation.uses.reads.first ?? operation.uses.writes.first else { break }
      exchanges.append("\(operation.name) \(plan.values[value.index].width)")
    case .embed, .norm, .linear, .activatedProduct, .gated, .routing, .experts, .unary, .add, .select: break
    }
    // In place only where the operation says that it reads what it writes.
    for value in operation.uses.writes {
      let place = try slot(value)
      for read in operation.uses.reads where read != value {
        try require(try slot(read) != place, "\(operation) writes value \(value.index) over value \(read.index), which it reads")
      }
      held[place] = value
    }
  }
}
