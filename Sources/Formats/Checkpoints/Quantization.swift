import JSON

/// How weights and the KV cache are quantised: the `quantization` object of a configuration.
public struct Quantization: Sendable, Hashable {
  /// Upstream's name, such as `FP8` or `W4A16_AWQ`; nil where weights have the model's type.
  public var algorithm: Algorithm?
  /// `FP8`, `INT8` or `NVFP4`; nil where the cache has the model's type.
  public var cacheAlgorithm: Algorithm?
  /// Weights that share a scale in the group-wise algorithms.
  public var groupSize: Int
  /// `smoothquant_val`, α of SmoothQuant (arXiv:2211.10438); 0.5 where nothing says.
  public var smoothQuantValue: Double
  /// Lowest and highest activation.
  public var clampValue: [Double]?
  /// `use_meta_recipe`: Meta's recipe for FP8 by rows. False where nothing says.
  public var usesMetaRecipe: Bool
  /// `has_zero_point`: groups have a zero point beside their scale. False where nothing says.
  public var hasZeroPoint: Bool
  /// `pre_quant_scale`: activations are multiplied by a vector before the product, as in AWQ. False where nothing says.
  public var hasPreQuantScale: Bool
  /// Modules left as they are: names or patterns with `*`.
  public var excludedModules: [String]? { exclusions?.map(\.pattern) }
  private(set) var exclusions: [Glob]?
  /// Of `MIXED_PRECISION`: what each layer has, from `quant_cfg.json`.
  public var layers: [String: Algorithm]

  /// What a configuration without a `quantization` object means.
  public init() {
    (algorithm, cacheAlgorithm, clampValue, exclusions) = (nil, nil, nil, nil)
    (groupSize, smoothQuantValue, layers) = (128, 0.5, [:])
    (usesMetaRecipe, hasZeroPoint, hasPreQuantScale) = (false, false, false)
  }

  /// Upstream's strings.
  public enum Algorithm: String, Sendable, CaseIterable {
    /// 8-bit weights with a scale for each output, activations of 16 bits.
    case w8a16 = "W8A16"
    /// 4-bit weights with a scale for each output, activations of 16 bits.
    case w4a16 = "W4A16"
    /// 4-bit weights in groups of inputs, by AWQ (arXiv:2306.00978); activations of 16 bits.
    case w4a16AWQ = "W4A16_AWQ"
    /// 4-bit weights in groups of inputs, by AWQ; activations in FP8.
    case w4a8AWQ = "W4A8_AWQ"
    /// 8-bit weights in groups of inputs, by GPTQ (arXiv:2210.17323); activations of 16 bits.
    case w8a16GPTQ = "W8A16_GPTQ"
    /// 4-bit weights in groups of inputs, by GPTQ; activations of 16 bits.
    case w4a16GPTQ = "W4A16_GPTQ"
    /// 8-bit weights and activations by SmoothQuant (arXiv:2211.10438), a scale for each output.
    case w8a8PerChannel = "W8A8_SQ_PER_CHANNEL"
    /// SmoothQuant with one scale for the weight and one for the activations.
    case w8a8PerTensorPlugin = "W8A8_SQ_PER_TENSOR_PLUGIN"
    /// SmoothQuant with a scale for each output and one for each token.
    case w8a8PerChannelPerTokenPlugin = "W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN"
    /// SmoothQuant with a scale for each output and one for the activations.
    case w8a8PerChannelPerTensorPlugin = "W8A8_SQ_PER_CHANNEL_PER_TENSOR_PLUGIN"
    /// SmoothQuant with one scale for the weight and one for each token.
    case w8a8PerTensorPerTokenPlugin = "W8A8_SQ_PER_TENSOR_PER_TOKEN_PLUGIN"
    /// 4-bit weights in groups, 8-bit activations, by QServe (arXiv:2405.04532).
    case w4a8QServePerGroup = "W4A8_QSERVE_PER_GROUP"
    /// 4-bit weights with a scale for each output, 8-bit activations, by QServe.
    case w4a8QServePerChannel = "W4A8_QSERVE_PER_CHANNEL"
    /// Weights and activations in FP8 (E4M3), a scale for each tensor.
    case fp8 = "FP8"
    /// FP8 with a scale for each output and one for each token.
    case fp8PerChannelPerToken = "FP8_PER_CHANNEL_PER_TOKEN"
    /// FP8 with a scale for each block of a weight, as DeepSeek-V3 has them.
    case fp8BlockScales = "FP8_BLOCK_SCALES"
    /// 8-bit whole numbers; upstream names it for keys and values.
    case int8 = "INT8"
    /// Layers differ, each with an algorithm of its own.
    case mixedPrecision = "MIXED_PRECISION"
    /// 4-bit floats (E2M1) in blocks of 16 with FP8 scales.
    case nvfp4 = "NVFP4"
    /// Weights as in ``nvfp4``, activations in FP8.
    case w4a8NVFP4FP8 = "W4A8_NVFP4_FP8"
    /// Weights in MXFP4, 4-bit floats in blocks of 32 with E8M0 scales; activations in FP8.
    case w4a8MXFP4FP8 = "W4A8_MXFP4_FP8"
    /// Weights in MXFP4, activations in MXFP8.
    case w4a8MXFP4MXFP8 = "W4A8_MXFP4_MXFP8"
    /// Weights in MXFP4, activations of 16 bits.
    case w4a16MXFP4 = "W4A16_MXFP4"
    /// Plain numbers.
    case none = "NO_QUANT"
  }
}

extension Quantization {
  init(_ json: JSONValue?, _ fields: FieldReader) throws(CheckpointError) {
    let reader = fields.inside(json ?? .object([:]), prefix: "quantization.")
    try reader.requireObject()
    self.init()
    algorithm = try Self.algorithm(reader, "quant_algo")
    cacheAlgorithm = try Self.algorithm(reader, "kv_cache_quant_algo")
    groupSize = try reader.int("group_size") ?? 128
    smoothQuantValue = try reader.double("smoothquant_val") ?? 0.5
    if let clamp = reader.json["clamp_val"], !clamp.isNull {
      guard let values = clamp.array?.compactMap(\.double), values.count == 2, clamp.array?.count == 2 else {
        throw reader.failed("clamp_val", "should be two numbers")
      }
      clampValue = values
    }
    usesMetaRecipe = try reader.bool("use_meta_recipe") ?? false
    hasZeroPoint = try reader.bool("has_zero_point") ?? false
    hasPreQuantScale = try reader.bool("pre_quant_scale") ?? false
    exclusions = try reader.strings("exclude_modules")?.map { Glob($0) }
  }

  private static func algorithm(_ reader: FieldReader, _ key: String) throws(CheckpointError) -> Algorithm? {
    guard let name = try reader.string(key) else { return nil }
    guard let algorithm = Algorithm(rawValue: name) else { throw reader.failed(key, "is '\(name)', which is not known") }
    return algorithm == .none ? nil : algorithm
  }

  /// Takes the layers of a `MIXED_PRECISION` checkpoint from its `quant_cfg.json`.
  ///
  /// Experts fused under `mlp.fc` and `mlp.proj` also speak for their parent `mlp`, so they must agree.
  mutating func readLayers(_ json: JSONValue, _ reader: FieldReader) throws(CheckpointError) {
    guard let members = json["quantized_layers"]?.object else {
      throw reader.failed("quantized_layers", "is missing or not an object")
    }
    for (name, value) in members {
      let layer = reader.inside(value, prefix: "quantized_layers.\(name).")
      layers[name] = try Self.algorithm(layer, "quant_algo")
    }
    for (name, algorithm) in layers {
      for suffix in [".mlp.fc", ".mlp.proj"] where name.hasSuffix(suffix) {
        let parent = String(name.dropLast(suffix.count)) + ".mlp"
        if let other = layers[parent + (suffix == ".mlp.fc" ? ".proj" : ".fc")], other != algorithm { continue }
        if members[parent] == nil { layers[parent] = algorithm }
      }
    }
  }
}
