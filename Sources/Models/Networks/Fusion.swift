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
      guard case .activatedProduct(let product) = operation, result.count >= 2,
        case .linear(let fc) = result[result.count - 2], fc.output == product.activated,
        case .linear(let gate) = result[result.count - 1], gate.output == product.factor,
        fc.input == gate.input, (fc.bias == nil) == (gate.bias == nil)
      else { result.append(operation); continue }
      result.removeLast(2)
      let width = values[product.activated.index].width + values[product.factor.index].width
      let fused = value(values[product.activated.index].name + ".fused", width: width)
      let weight = concatenate(gate.weight, fc.weight)
      let bias: String? = if let fcBias = fc.bias, let gateBias = gate.bias { concatenate(gateBias, fcBias) } else { nil }
      result.append(.linear(Linear(input: fc.input, weight: weight, bias: bias, output: fused)))
      result.append(.gated(Gated(input: fused, activation: product.activation, limits: product.limits, output: product.output)))
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

  /// `add` followed at once by a norm of the sum becomes one pass over the residual.
  mutating func fuseResidualNorm() {
    var result: [Operation] = []
    for operation in operations {
      if case .norm(var norm) = operation, norm.residual == nil, norm.kind == .rms, case .add(let sum)? = result.last, sum.target == norm.input {
        result.removeLast()
        (norm.residual, norm.input) = (sum.target, sum.value)
        result.append(.norm(norm))
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
