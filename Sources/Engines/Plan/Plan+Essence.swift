import Networks
import OrderedCollections

extension Plan {
  /// The plan without what changes no result: tactics, artifacts, names and places of buffers, the order of weights, and digits of
  /// the rotary embedding that float32, as GGUF holds them, does not have.
  var essence: Plan {
    var essence = self
    essence.tactics = []
    essence.artifacts = []
    var numbers: [ValueID: ValueID] = [:]
    essence.values = []
    for value in operations.flatMap({ $0.uses.reads + $0.uses.writes }) where numbers[value] == nil {
      numbers[value] = ValueID(essence.values.count)
      essence.values.append(Value(name: "", width: values[value.index].width, rows: values[value.index].rows))
    }
    essence.operations = operations.map { $0.renumbered { numbers[$0] ?? $0 } }
    essence.slots = BufferSlots(values: essence.values, operations: essence.operations)
    essence.weights.sort { $0.key < $1.key }
    essence.rotaries = rotaries.map(\.rounded)
    return essence
  }
}
