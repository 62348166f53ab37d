import Checkpoints
import Networks
import Tensors

/// Decoder layers with grouped-query attention, rotary embedding and a gated MLP, as upstream's `LLaMAForCausalLM` and
/// `QWenForCausalLM` have them, in all the forms that a ``DecoderStyle`` names.
enum DecoderNetwork {
  /// - Parameters:
  ///   - config: A checked checkpoint configuration.
  ///   - rank: Which rank of `config.mapping`.
  ///   - sharesEmbedding: lm_head and the embedding table are one weight.
  @Sendable static func make(
    _ config: CheckpointConfig, rank: Int, sharesEmbedding: Bool, style: DecoderStyle
  ) throws(UnsupportedModel) -> Network {
    let shape = try RankShape(config: config, rank: rank, style: style)
    // A checkpoint need not say what belongs to its family, but must not deny it.
    if let asked = config.json["qk_layernorm"]?.bool, asked != (style.headNorms != .none) { throw .setting("qk_layernorm", "\(asked)") }
    let hasBias = config.hasAttentionBias
    let activation = try Activation(config: config)
    let layers = try LayerSettings(config, style)
    var network = Network()
    network.rotaries = try RotaryEmbedding.all(config, layers)
    let norm = NormStyle(epsilon: Float(config.normEpsilon), elementType: style.normOffset == 0 ? nil : .float32)
    let hidden = config.hiddenSize
    let t = config.mapping.tensorParallel
    let residual = network.value("hidden", width: hidden)

    if shape.isFirstStage {
      network.embed(config: config, shape: shape, output: residual)
    } else {
      network.append(.receive(Receive(value: residual)))
    }

    for layer in 0..<shape.layerCount {
      let prefix = "transformer.layers.\(layer)."
      let isWindowed = layers.isWindowed(shape.firstLayer + layer)

      // Attention.
      let normed = style.norms == .after ? residual : network.norm(residual, prefix + "input_layernorm", norm)
      let qkv = network.value("\(prefix)qkv", width: shape.qkvWidth)
      network.linear(normed, prefix + "attention.qkv", .attention, qkv, bias: hasBias)
      let attended = network.value("\(prefix)attention", width: shape.heads * config.headSize)
      network.append(
        .attention(
          Attention(
            qkv: qkv, output: attended, heads: shape.heads, keyValueHeads: shape.keyValueHeads,
            headSize: config.headSize, scale: layers.scoreScale ?? shape.attentionScale, rotary: layers.rotary(shape.firstLayer + layer),
            queryNorm: network.headNorm(prefix, "q_layernorm", config.headSize, shape.heads, norm, style.headNorms),
            keyNorm: network.headNorm(prefix, "k_layernorm", config.headSize, shape.keyValueHeads, norm, style.headNorms),
            window: isWindowed ? layers.window : nil, softCap: layers.scoreSoftCap)))
      let projected = network.value("\(prefix)dense", width: hidden)
      // A row-parallel bias is added once: by the first rank of the group.
      network.linear(
        attended, prefix + "attention.dense", .attention, projected,
        bias: hasBias && style.denseBias && shape.tensorRank == 0)
      if t > 1 { network.append(.allReduce(AllReduce(value: projected))) }
      let attentionResult = style.norms == .before ? projected : network.norm(projected, prefix + "post_layernorm", norm)
      network.scale(attentionResult, by: shape.residualScale)
      network.append(.add(Add(target: residual, value: attentionResult)))

      // MLP, or experts.
      let normed2 =
        switch style.norms {
        case .before: network.norm(residual, prefix + "post_layernorm", norm)
        case .around: network.norm(residual, prefix + "pre_feedforward_layernorm", norm)
        case .after: residual
        }
      let down =
        if let experts = shape.experts, !experts.denseLayers.contains(shape.firstLayer + layer) {
          network.experts(normed2, prefix, experts, shape, activation)
        } else {
          network.mlp(normed2, prefix, config, shape, activation)
        }
      if t > 1 { network.append(.allReduce(AllReduce(value: down))) }
      let mlpResult = style.norms == .before ? down : network.norm(down, prefix + "post_feedforward_layernorm", norm)
      network.scale(mlpResult, by: shape.residualScale)
      network.append(.add(Add(target: residual, value: mlpResult)))
    }

    guard shape.isLastStage else {
      network.append(.send(Send(value: residual)))
      return network
    }
    let last = network.value("selected", width: hidden, rows: .selected)
    network.append(.select(Select(input: residual, output: last)))
    let normed = network.norm(last, "transformer.ln_f", norm)
    network.logits(config: config, shape: shape, input: normed, sharesEmbedding: sharesEmbedding, softCap: layers.logitSoftCap)
    return network
  }
}

/// What all norms of a network have in common.
private struct NormStyle {
  var epsilon: Float
  /// nil: as all weights of the model.
  var elementType: ElementType?
}

extension Network {
  /// An RMS norm of a value, as wide.
  fileprivate mutating func norm(_ input: ValueID, _ module: String, _ style: NormStyle) -> ValueID {
    let output = value(module, width: values[input.index].width, rows: values[input.index].rows)
    let weight = weight(module + ".weight", shape: [values[input.index].width], role: .normalization, elementType: style.elementType)
    append(.norm(Norm(input: input, weight: weight, epsilon: style.epsilon, output: output)))
    return output
  }

  /// - Parameter heads: Of this rank.
  fileprivate mutating func headNorm(
    _ prefix: String, _ name: String, _ headSize: Int, _ heads: Int, _ style: NormStyle, _ kind: HeadNorms
  ) -> Attention.HeadNorm? {
    guard kind != .none else { return nil }
    let extent = kind == .together ? heads * headSize : headSize
    let weight = weight("\(prefix)attention.\(name).weight", shape: [extent], role: .normalization, elementType: style.elementType)
    return .init(weight: weight, epsilon: style.epsilon, spansHeads: kind == .together)
  }

  fileprivate mutating func scale(_ value: ValueID, by factor: Float) {
    if factor != 1 { append(.unary(Unary(value: value, kind: .scale(factor)))) }
  }

  /// `proj(activation(fc(x)) * gate(x))`.
  fileprivate mutating func mlp(
    _ input: ValueID, _ prefix: String, _ config: CheckpointConfig, _ shape: RankShape, _ activation: Activation
  ) -> ValueID {
    let fc = value("\(prefix)fc", width: shape.intermediate)
    linear(input, prefix + "mlp.fc", .mlp, fc, bias: config.mlpBias)
    let gate = value("\(prefix)gate", width: shape.intermediate)
    linear(input, prefix + "mlp.gate", .mlp, gate, bias: config.mlpBias)
    let product = value("\(prefix)product", width: shape.intermediate)
    append(.activatedProduct(ActivatedProduct(activated: fc, factor: gate, activation: activation, output: product)))
    let down = value("\(prefix)proj", width: config.hiddenSize)
    linear(product, prefix + "mlp.proj", .mlp, down, bias: config.mlpBias && shape.tensorRank == 0)
    return down
  }

  /// A mixture of this rank's experts, which all ranks together sum up: upstream's stacks, `[up ; gate]` and `proj` of each expert.
  fileprivate mutating func experts(
    _ input: ValueID, _ prefix: String, _ experts: ExpertShape, _ shape: RankShape, _ activation: Activation
  ) -> ValueID {
    let hidden = values[input.index].width
    let (count, width) = (shape.ownExperts.count, shape.expertIntermediate)
    let shares = value("\(prefix)shares", width: experts.count)
    let router = weight(prefix + "mlp.router.weight", shape: [experts.count, hidden], role: .mlp, elementType: .float32)
    append(.routing(Routing(input: input, weight: router, chosen: experts.chosen, normalizes: experts.normalizes, output: shares)))
    let output = value("\(prefix)experts", width: hidden)
    let fused = weight(prefix + "mlp.fc.weight", shape: [count * 2 * width, hidden], role: .mlp)
    let down = weight(prefix + "mlp.proj.weight", shape: [count * hidden, width], role: .mlp)
    append(
      .experts(
        Experts(
          input: input, shares: shares, fused: fused, down: down, activation: activation, first: shape.ownExperts.lowerBound, count: count,
          chosen: experts.chosen, output: output)))
    return output
  }

  fileprivate mutating func linear(
    _ input: ValueID, _ module: String, _ role: WeightRole, _ output: ValueID, bias: Bool
  ) {
    let outputs = values[output.index].width
    let weight = weight(module + ".weight", shape: [outputs, values[input.index].width], role: role)
    let bias = bias ? self.weight(module + ".bias", shape: [outputs], role: role) : nil
    append(.linear(Linear(input: input, weight: weight, bias: bias, output: output)))
  }

  /// The embedding table, whole or sharded over the tensor-parallel group by rows (0) or columns (1).
  fileprivate mutating func embed(config: CheckpointConfig, shape: RankShape, output: ValueID) {
    let name = "transformer.vocab_embedding.weight"
    let t = config.mapping.tensorParallel
    let sharded = config.useParallelEmbedding && t > 1
    if sharded && config.embeddingShardingDimension == 1 {
      let columns = config.hiddenSize / t
      let weight = weight(name, shape: [config.vocabularySize, columns], role: .embedding)
      let part = value("embedding.part", width: columns)
      append(.embed(Embed(weight: weight, firstToken: 0, scale: shape.embeddingScale, output: part)))
      append(.allGather(AllGather(input: part, output: output)))
    } else {
      let rows = sharded ? (config.vocabularySize + t - 1) / t : config.vocabularySize
      let weight = weight(name, shape: [rows, config.hiddenSize], role: .embedding)
      let first = sharded ? rows * shape.tensorRank : 0
      append(.embed(Embed(weight: weight, firstToken: first, scale: shape.embeddingScale, output: output)))
      if sharded { append(.allReduce(AllReduce(value: output))) }
    }
  }

  fileprivate mutating func logits(config: CheckpointConfig, shape: RankShape, input: ValueID, sharesEmbedding: Bool, softCap: Float?) {
    let t = config.mapping.tensorParallel
    let rows = (config.vocabularySize + t - 1) / t
    let name: String
    if sharesEmbedding {
      name = "transformer.vocab_embedding.weight"
    } else {
      name = weight("lm_head.weight", shape: [rows, config.hiddenSize], role: .logits)
    }
    let logits = value("logits", width: rows, rows: .selected)
    append(.linear(Linear(input: input, weight: name, output: logits)))
    scale(logits, by: shape.logitScale)
    if let softCap { append(.unary(Unary(value: logits, kind: .softCap(softCap)))) }
    if t > 1 {
      let all = value("logits.all", width: rows * t, rows: .selected)
      append(.allGather(AllGather(input: logits, output: all)))
    }
  }
}
