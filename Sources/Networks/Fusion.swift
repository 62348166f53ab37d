import OrderedCollections

extension Network {
  /// The rewrites that every target profits from. Their order does not matter: they touch different operations.
  public mutating func fuse() {
    fuseGatedMLP()
    fuseResidualNorm()
    dropUnusedWeights()
  }

  /// Makes one linear of the two that feed a gated activation, as upstream's fused MLP does:
  /// `mlp.fused_fc.weight` has rows `[gate (up_proj) ; fc (gate_proj)]`.
  mutating func fuseGatedMLP() {
    var result: [Operation] = []
    for operation in operations {
      guard case .activatedProduct(let activated, let factor, let activation, let output) = operation,
        result.count >= 2,
        case .linear(let input1, let fc, let fcBias, activated) = result[result.count - 2],
        case .linear(let input2, let gate, let gateBias, factor) = result[result.count - 1],
        input1 == input2, (fcBias == nil) == (gateBias == nil)
      else { result.append(operation); continue }
      result.removeLast(2)
      let width = values[activated.index].width + values[factor.index].width
      let fused = value(values[activated.index].name + ".fused", width: width)
      let weight = concatenate(gate, fc)
      let bias: String? = if let fcBias, let gateBias { concatenate(gateBias, fcBias) } else { nil }
      result.append(.linear(input: input1, weight: weight, bias: bias, output: fused))
      result.append(.gatedActivation(input: fused, activation: activation, output: output))
    }
    operations = result
  }

  /// Declares `…mlp.fused_fc.weight` from `…mlp.gate.weight` and `…mlp.fc.weight` (or the biases).
  private mutating func concatenate(_ gate: String, _ fc: String) -> String {
    guard let first = weights[gate], let second = weights[fc], let dot = fc.lastIndex(of: ".") else {
      preconditionFailure("fusion of undeclared weights \(gate), \(fc)")
    }
    let prefix = fc[..<dot]  // …mlp.fc
    let name = prefix.dropLast("fc".count) + "fused_fc" + fc[dot...]
    let recipe = Recipe.concatenate([first.recipe, second.recipe])
    weights[String(name)] = NetworkWeight(
      shape: [first.shape[0] + second.shape[0]] + first.shape.dropFirst(), role: first.role, recipe: recipe)
    return String(name)
  }

  /// `add` followed at once by `rmsNorm` of the sum becomes one pass over the residual.
  mutating func fuseResidualNorm() {
    var result: [Operation] = []
    for operation in operations {
      if case .rmsNorm(let input, let weight, let epsilon, let output) = operation,
        case .add(input, let delta)? = result.last
      {
        result.removeLast()
        result.append(.addRMSNorm(residual: input, delta: delta, weight: weight, epsilon: epsilon, output: output))
      } else {
        result.append(operation)
      }
    }
    operations = result
  }

  /// Keeps the weights that an operation names, in order of first use.
  mutating func dropUnusedWeights() {
    var used: OrderedDictionary<String, NetworkWeight> = [:]
    for name in operations.flatMap(\.weightNames) { used[name] = weights[name] }
    weights = used
  }
}
