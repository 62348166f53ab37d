import Checkpoints
import JSON
import Networks

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
  let qkvWidth: Int
  let attentionScale: Float
  let embeddingScale: Float

  init(config: CheckpointConfig, rank: Int, style: DecoderStyle) throws(UnsupportedModel) {
    let mapping = config.mapping
    let t = mapping.tensorParallel
    guard rank >= 0, rank < mapping.worldSize else { throw .rank(rank, worldSize: mapping.worldSize) }
    guard mapping.contextParallel == 1 else { throw .setting("mapping.cp_size", "\(mapping.contextParallel)") }
    if let algorithm = config.quantization.algorithm, config.quantization.scheme == nil { throw .quantization(algorithm.rawValue) }
    if let algorithm = config.quantization.cacheAlgorithm { throw .quantization("of the KV cache, \(algorithm.rawValue),") }
    guard config.headCount % t == 0 else { throw .indivisible("num_attention_heads", config.headCount, by: t) }
    guard config.intermediateSize % t == 0 else { throw .indivisible("intermediate_size", config.intermediateSize, by: t) }
    let keyValue = config.keyValueHeadCount
    guard keyValue >= t ? keyValue % t == 0 : t % keyValue == 0 else {
      throw .indivisible("num_key_value_heads", keyValue, by: t)
    }
    if config.json["residual_mlp"]?.bool == true { throw .setting("residual_mlp", "true") }
    if let experts = config.json["moe"]?["num_experts"]?.int, experts > 0 { throw .setting("moe.num_experts", "\(experts)") }
    if let scale = config.json["output_multiplier_scale"]?.double, scale != 1 {
      throw .setting("output_multiplier_scale", "\(scale)")
    }

    tensorRank = mapping.tensorRank(of: rank)
    let stage = mapping.pipelineRank(of: rank)
    isFirstStage = stage == 0
    isLastStage = stage == mapping.pipelineParallel - 1
    let layers = mapping.layers(ofStage: stage, layerCount: config.layerCount)
    (firstLayer, layerCount) = (layers.lowerBound, layers.count)
    heads = config.headCount / t
    keyValueHeads = max(1, keyValue / t)
    intermediate = config.intermediateSize / t
    qkvWidth = (heads + 2 * keyValueHeads) * config.headSize
    let multiplier = config.json["attention_multiplier"]?.double ?? 1  // HF value × √headSize where it is not 1
    attentionScale = Float(multiplier / Double(config.headSize).squareRoot())
    embeddingScale = Float(config.json["embedding_multiplier"]?.double ?? (style.scalesEmbedding ? Double(config.hiddenSize).squareRoot() : 1))
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
    let kind = object["rope_type"].flatMap { $0.isNull ? nil : $0 } ?? object["type"].flatMap { $0.isNull ? nil : $0 }
    // Upstream refuses one that names no kind, too: what was meant cannot be told.
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
