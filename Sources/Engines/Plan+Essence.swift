import Networks
import OrderedCollections

extension Plan {
  /// The plan without what changes no result: tactics, names and places of buffers, the order of weights, and digits of
  /// the rotary embedding that float32, as GGUF holds them, does not have.
  var essence: Plan {
    var essence = self
    essence.tactics = []
    var numbers: [ValueID: ValueID] = [:]
    essence.values = []
    for value in operations.flatMap({ $0.uses.reads + $0.uses.writes }) where numbers[value] == nil {
      numbers[value] = ValueID(essence.values.count)
      essence.values.append(Value(name: "", width: values[value.index].width, rows: values[value.index].rows))
    }
    essence.operations = operations.map { $0.renumbered { numbers[$0] ?? $0 } }
    essence.slots = BufferSlots(values: essence.values, operations: essence.operations)
    essence.weights.sort { $0.key < $1.key }
    essence.rotary = rotary?.rounded
    return essence
  }
}

extension RotaryEmbedding {
  fileprivate var rounded: RotaryEmbedding {
    func rounded(_ value: Double) -> Double { Double(Float(value)) }
    let scaling: Scaling =
      switch scaling {
      case .none: .none
      case .linear(let factor): .linear(factor: rounded(factor))
      case .llama3(let factor, let low, let high, let original):
        .llama3(
          factor: rounded(factor), lowFrequencyFactor: rounded(low), highFrequencyFactor: rounded(high),
          originalMaximum: rounded(original))
      }
    return RotaryEmbedding(style: style, dimension: dimension, base: rounded(base), scaling: scaling)
  }
}

extension Operation {
  /// With other numbers for its values.
  fileprivate func renumbered(_ new: (ValueID) -> ValueID) -> Operation {
    switch self {
    case .embed(let weight, let first, let scale, let output):
      .embed(weight: weight, firstToken: first, scale: scale, output: new(output))
    case .rmsNorm(let input, let weight, let epsilon, let output):
      .rmsNorm(input: new(input), weight: weight, epsilon: epsilon, output: new(output))
    case .addRMSNorm(let residual, let delta, let weight, let epsilon, let output):
      .addRMSNorm(residual: new(residual), delta: new(delta), weight: weight, epsilon: epsilon, output: new(output))
    case .linear(let input, let weight, let bias, let output):
      .linear(input: new(input), weight: weight, bias: bias, output: new(output))
    case .attention(var attention):
      {
        attention.qkv = new(attention.qkv)
        attention.output = new(attention.output)
        return .attention(attention)
      }()
    case .activatedProduct(let activated, let factor, let activation, let output):
      .activatedProduct(activated: new(activated), factor: new(factor), activation: activation, output: new(output))
    case .gatedActivation(let input, let activation, let output):
      .gatedActivation(input: new(input), activation: activation, output: new(output))
    case .add(let target, let value): .add(target: new(target), value: new(value))
    case .select(let input, let output): .select(input: new(input), output: new(output))
    case .allReduce(let value): .allReduce(value: new(value))
    case .allGather(let input, let output): .allGather(input: new(input), output: new(output))
    case .send(let value): .send(value: new(value))
    case .receive(let value): .receive(value: new(value))
    }
  }
}
