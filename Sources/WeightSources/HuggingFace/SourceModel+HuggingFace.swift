import JSON
import SystemPackage
import Tensors

extension SourceModel {
  /// Reads `config.json` of a Hugging Face directory.
  ///
  /// - Throws: ``WeightSourceError`` where a value is missing or of the wrong kind, the family is unknown, or the
  ///   weights are quantised in a way that cannot be read.
  public init(huggingFace directory: HuggingFaceDirectory) throws {
    let config = try ConfigReader(directory: directory.path, file: "config.json")
    let origin = directory.origin
    guard let architecture = config.json["architectures"]?.array?.first?.string else {
      throw config.failed("architectures", "does not name an architecture")
    }
    let family = try ModelFamily(architecture: architecture, origin: origin)
    if let quantization = config.json["quantization_config"], !quantization.isNull {
      let method = quantization["quant_method"]?.string ?? "of an unknown kind"
      throw config.failed("quantization_config", "says that the weights are quantised (\(method)), which is not supported. Use the unquantised model")
    }
    let hiddenSize = try config.required("hidden_size")
    let headCount = try config.required("num_attention_heads")
    let headSize = try config.positive("head_dim") ?? hiddenSize / headCount
    let keyValueHeadCount = try config.positive("num_key_value_heads") ?? headCount
    guard headCount % keyValueHeadCount == 0 else {
      throw config.failed("num_key_value_heads", "is \(keyValueHeadCount), which does not divide the \(headCount) attention heads")
    }
    guard headSize > 0, headSize % 2 == 0 else { throw config.failed("head_dim", "is \(headSize), expected an even number") }
    let rotary = try Self.rotary(config)
    let fraction = try config.number("partial_rotary_factor")?.double ?? 1
    let rotaryDimension = Int(Double(headSize) * fraction)
    guard fraction > 0, fraction <= 1, rotaryDimension % 2 == 0 else {
      throw config.failed("partial_rotary_factor", "is \(fraction), expected a number above 0 and at most 1")
    }
    let tokens = try Self.tokens(config)
    self.init(
      origin: origin, family: family, architecture: architecture,
      shape: ModelShape(
        hiddenSize: hiddenSize, headCount: headCount, keyValueHeadCount: keyValueHeadCount, headSize: headSize,
        intermediateSize: try config.required("intermediate_size"), vocabularySize: try config.required("vocab_size"),
        layerCount: try config.required("num_hidden_layers")),
      hiddenActivation: try config.string("hidden_act") ?? "silu",
      normEpsilon: try config.number("rms_norm_eps") ?? JSONNumber(1e-6),
      rotaryBase: rotary.base, rotaryDimension: rotaryDimension, rotaryScaling: rotary.scaling,
      maximumPositions: try config.positive("max_position_embeddings"),
      slidingWindow: try config.positive("sliding_window"),
      tiesEmbeddings: try config.bool("tie_word_embeddings") ?? false,
      attentionBias: try config.bool("attention_bias") ?? false,
      mlpBias: try config.bool("mlp_bias") ?? false,
      elementType: try Self.elementType(config, directory),
      isQuantized: false, bosTokenID: tokens.bos, eosTokenIDs: tokens.eos)
  }

  /// Base and scaling, from `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (before).
  private static func rotary(_ config: ConfigReader) throws(WeightSourceError) -> (base: JSONNumber, scaling: JSONValue?) {
    let standard = JSONNumber(10000.0)
    func effective(_ scaling: JSONObject) -> JSONValue? {
      let kind = scaling["rope_type"]?.string ?? scaling["type"]?.string
      return kind == nil || kind == "default" ? nil : .object(scaling)
    }
    if var parameters = try config.optional("rope_parameters", "an object", \.object) {
      let base = parameters.removeValue(forKey: "rope_theta")
      if case .number(let number)? = base { return (number, effective(parameters)) }
      return (try config.number("rope_theta") ?? standard, effective(parameters))
    }
    let scaling = try config.optional("rope_scaling", "an object", \.object)
    return (try config.number("rope_theta") ?? standard, scaling.flatMap(effective))
  }

  private static func tokens(_ config: ConfigReader) throws(WeightSourceError) -> (bos: Int?, eos: [Int]) {
    let bos = try config.optional("bos_token_id", "a token id") { $0.int ?? $0.array?.first?.int }
    let eos = try config.optional("eos_token_id", "a token id or several") { value -> [Int]? in
      if let one = value.int { return [one] }
      return value.array?.compactMap(\.int)
    }
    return (bos, eos ?? [])
  }

  /// What the configuration says, or else the type of the first matrix.
  private static func elementType(_ config: ConfigReader, _ tensors: HuggingFaceDirectory) throws(WeightSourceError) -> ElementType {
    for key in ["dtype", "torch_dtype"] {
      guard let name = try config.string(key) else { continue }
      guard let type = ElementType(configName: name.hasPrefix("torch.") ? String(name.dropFirst(6)) : name),
        ElementType.checkpointTypes.contains(type)
      else { continue }
      return type
    }
    let first = tensors.names.lazy.compactMap { tensors.description(of: $0) }.first { $0.shape.count == 2 }
    guard let first, ElementType.checkpointTypes.contains(first.elementType) else { return .float32 }
    return first.elementType
  }
}
