import Checkpoints
import JSON
import Networks
import Schemes

/// What one rank of a mapping holds.
struct RankShape {
  let tensorRank: Int
  let isFirstStage: Bool
  let isLastStage: Bool
  /// Of the whole model's layers, the first that this rank has.
  let firstLayer: Int
  let layerCount: Int
  let heads: Int
  let keyValueHeads: Int
  let intermediate: Int
  /// The whole model's; nil: no layer has any.
  let experts: ExpertShape?
  /// This rank's, in the whole model's numbers, and its share of their width.
  let ownExperts: Range<Int>
  let expertIntermediate: Int
  let qkvWidth: Int
  let attentionScale: Float
  let embeddingScale: Float
  /// Of what attention and MLP give.
  let residualScale: Float
  let logitScale: Float

  init(config: CheckpointConfig, rank: Int, style: DecoderStyle) throws(UnsupportedModel) {
    let mapping = config.mapping
    let t = mapping.tensorParallel
    guard rank >= 0, rank < mapping.worldSize else { throw .rank(rank, worldSize: mapping.worldSize) }
    guard mapping.contextParallel == 1 else { throw .setting("mapping.cp_size", "\(mapping.contextParallel)") }
    if let algorithm = config.quantization.algorithm, config.quantization.scheme == nil { throw .quantization(algorithm.rawValue) }
    if let algorithm = config.quantization.cacheAlgorithm { throw .quantization("of the KV cache, \(algorithm.rawValue),") }
    guard config.headCount % t == 0 else { throw .indivisible("num_attention_heads", config.headCount, by: t) }
    experts = style.experts == nil ? nil : try ExpertShape(config)
    guard experts?.denseLayers.isEmpty == true || config.intermediateSize % t == 0 else {
      throw .indivisible("intermediate_size", config.intermediateSize, by: t)
    }
    let keyValue = config.keyValueHeadCount
    guard keyValue >= t ? keyValue % t == 0 : t % keyValue == 0 else {
      throw .indivisible("num_key_value_heads", keyValue, by: t)
    }
    if config.json["residual_mlp"]?.bool == true { throw .setting("residual_mlp", "true") }
    if experts == nil, let experts = config.json["moe"]?["num_experts"]?.int, experts > 0 { throw .setting("moe.num_experts", "\(experts)") }
    if let problem = style.sharingProblem(mapping) { throw .unclear("mapping.tp_size", "is \(t)", problem) }

    tensorRank = mapping.tensorRank(of: rank)
    let stage = mapping.pipelineRank(of: rank)
    isFirstStage = stage == 0
    isLastStage = stage == mapping.pipelineParallel - 1
    let layers = mapping.layers(ofStage: stage, layerCount: config.layerCount)
    (firstLayer, layerCount) = (layers.lowerBound, layers.count)
    heads = config.headCount / t
    keyValueHeads = max(1, keyValue / t)
    intermediate = config.intermediateSize / t
    if let experts {
      let share = try Self.share(experts, hiddenSize: config.hiddenSize, mapping, rank)
      (ownExperts, expertIntermediate) = (share.experts, share.intermediate)
    } else {
      (ownExperts, expertIntermediate) = (0..<0, 0)
    }
    qkvWidth = (heads + 2 * keyValueHeads) * config.headSize
    let multiplier = try config.factor("attention_multiplier", config.json["attention_multiplier"]) ?? 1  // a Hugging Face class's × √headSize
    attentionScale = Float(multiplier / Double(config.headSize).squareRoot())
    embeddingScale = Float(
      try config.factor("embedding_multiplier", config.json["embedding_multiplier"]) ?? (style.scalesEmbedding ? Double(config.hiddenSize).squareRoot() : 1))
    residualScale = Float(try config.factor("residual_multiplier", config.json["residual_multiplier"]) ?? 1)
    logitScale = Float(try config.factor("output_multiplier_scale", config.json["output_multiplier_scale"]) ?? 1)
  }
}

extension CheckpointConfig {
  /// A number that something in the network is multiplied by; nil where nothing says.
  fileprivate func factor(_ key: String, _ value: JSONValue?) throws(UnsupportedModel) -> Double? {
    guard let value, !value.isNull else { return nil }
    guard let factor = value.double, Float(factor).isFinite else { throw .setting(key, value.serialized()) }
    return factor
  }
}

extension RankShape {
  /// A rank's experts, and its share of their width: a matrix begins where a panel of its rows does.
  private static func share(
    _ experts: ExpertShape, hiddenSize: Int, _ mapping: Mapping, _ rank: Int
  ) throws(UnsupportedModel) -> (experts: Range<Int>, intermediate: Int) {
    let (groups, ranks, unit) = (mapping.expertParallel, mapping.expertTensorParallel, WeightLayout.panelRows)
    guard mapping.expertClusters == 1 else { throw .setting("mapping.moe_cluster_size", "\(mapping.expertClusters)") }
    guard experts.count % groups == 0 else { throw .setting("mapping.moe_ep_size", "\(groups), which does not divide \(experts.count) experts") }
    guard experts.intermediateSize % ranks == 0 else { throw .indivisible("moe_intermediate_size", experts.intermediateSize, by: ranks) }
    let intermediate = experts.intermediateSize / ranks
    guard 2 * intermediate % unit == 0 else { throw .setting("moe_intermediate_size", "\(intermediate) a rank, no multiple of \(unit / 2)") }
    guard hiddenSize % unit == 0 else { throw .setting("hidden_size", "\(hiddenSize) beside experts, no multiple of \(unit)") }
    let (each, group) = (experts.count / groups, mapping.expertRank(of: rank))
    return (group * each..<(group + 1) * each, intermediate)
  }
}

extension Activation {
  init(config: CheckpointConfig) throws(UnsupportedModel) {
    switch config.hiddenActivation {
    case "silu", "swiglu": self = .silu
    case "gelu", "geglu": self = .gelu
    case "gelu_new", "gelu_pytorch_tanh", "gelu_tanh": self = .geluTanh
    case "relu": self = .relu
    case let name: throw .setting("hidden_act", "\"\(name)\"")
    }
  }
}

extension RotaryEmbedding {
  /// That of layers that see everything, then that of those with a window where there are such: it has a base of its own and no scaling.
  static func all(_ config: CheckpointConfig, _ layers: LayerSettings) throws(UnsupportedModel) -> [RotaryEmbedding] {
    let whole = try RotaryEmbedding(config: config)
    guard let base = layers.localBase else { return [whole] }
    return [whole, RotaryEmbedding(style: whole.style, dimension: whole.dimension, base: base, scaling: .none)]
  }

  init(config: CheckpointConfig) throws(UnsupportedModel) {
    let style: Style
    switch config.positionEmbeddingType {
    case "rope_gpt_neox": style = .halves
    case "rope_gptj": style = .pairs
    case let name where config.json["position_embedding_type"].map(\.isNull) ?? true:
      throw .unclear("position_embedding_type", "is missing", "upstream takes that for \(name), which is not supported; say rope_gpt_neox if the model has rotary embedding")
    case let name: throw .setting("position_embedding_type", "\"\(name)\"")
    }
    self.init(style: style, dimension: config.rotaryDimension, base: config.rotaryBase, scaling: try Scaling(config.rotaryScaling))
  }
}

extension RotaryEmbedding.Scaling {
  init(_ object: JSONValue?) throws(UnsupportedModel) {
    guard let object, !object.isNull else { self = .none; return }
    func text(_ value: JSONValue) -> String { value.serialized().count <= 60 ? value.serialized() : "\(value.serialized().prefix(50))…" }
    let kind = object["rope_type"].flatMap(\.unlessNull) ?? object["type"].flatMap(\.unlessNull)
    // Upstream refuses one that names no kind, too: what was meant is not known.
    guard let members = object.object, members.isEmpty || kind?.string != nil else {
      throw .unclear("rotary_scaling", "is \(text(object))", "name its kind: type linear, llama3 or default")
    }
    /// - Parameter fallback: nil where there must be one.
    func number(_ key: String, _ fallback: Double?) throws(UnsupportedModel) -> Double {
      guard let value = object[key], !value.isNull else {
        guard let fallback else { throw .unclear("rotary_scaling.\(key)", "is missing", "say by how much positions are stretched") }
        return fallback
      }
      guard let number = value.double, number > 0, number.isFinite else {
        throw .unclear("rotary_scaling.\(key)", "is \(text(value))", "it must be a number above 0")
      }
      return number
    }
    switch kind?.string ?? "default" {
    case "default": self = .none
    case "linear": self = .linear(factor: try number("factor", nil))
    case "llama3":
      self = .llama3(
        factor: try number("factor", 8), lowFrequencyFactor: try number("low_freq_factor", 1),
        highFrequencyFactor: try number("high_freq_factor", 4),
        originalMaximum: try number("original_max_position_embeddings", 8192))
    case let kind: throw .setting("rotary_scaling.type", "\"\(kind)\"")
    }
  }
}
