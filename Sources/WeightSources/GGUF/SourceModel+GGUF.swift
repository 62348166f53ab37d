import Families
import JSON
import Tensors

extension SourceModel {
  /// Reads a GGUF file's hyperparameters, as llama.cpp's loader does.
  ///
  /// - Throws: ``GGUFError`` where a key is missing or of the wrong kind; ``WeightSourceError`` where the family or a
  ///   setting is not supported.
  public init(gguf file: GGUFFile) throws {
    let metadata = file.metadata
    let architecture = try metadata.architecture()
    let family = try ModelFamily(ggufArchitecture: architecture, origin: file.origin)
    let settings = GGUFSettings(file, architecture: architecture)
    if let experts = try settings.optional("expert_count", "an integer", \.int), experts > 0 {
      throw settings.failed("expert_count", "is \(experts); mixtures of experts are not supported")
    }
    if try settings.optional("attention.causal", "a boolean", \.bool) == false {
      throw settings.failed("attention.causal", "is false: such attention sees later tokens, which is not supported")
    }
    let hiddenSize = try settings.required("embedding_length")
    let headCount = try settings.required("attention.head_count")
    let keyValueHeadCount = try settings.size("attention.head_count_kv") ?? headCount
    guard headCount % keyValueHeadCount == 0 else {
      throw settings.failed("attention.head_count_kv", "is \(keyValueHeadCount), which does not divide the \(headCount) attention heads")
    }
    let headSize = try settings.size("attention.key_length") ?? hiddenSize / headCount
    guard headSize > 0, headSize % 2 == 0 else { throw settings.failed("attention.key_length", "is \(headSize), expected an even number") }
    let valueSize = try settings.size("attention.value_length") ?? hiddenSize / headCount
    guard valueSize == headSize else {
      throw settings.failed("attention.value_length", "is \(valueSize), but keys have \(headSize); only equal sizes are supported")
    }
    let rotaryDimension = try settings.size("rope.dimension_count") ?? headSize
    guard rotaryDimension == headSize else {
      throw settings.failed("rope.dimension_count", "is \(rotaryDimension), but a head has \(headSize) numbers, and this family turns whole heads")
    }
    guard let embedding = file.tensors["token_embd.weight"], embedding.shape.count == 2 else {
      throw WeightSourceError(file.origin, .missing(names: ["token_embd.weight"]))
    }
    var warnings = try Self.vocabularyWarnings(settings, rows: embedding.shape[0])
    let base = try settings.number("rope.freq_base") ?? 10000
    guard base > 0 else { throw settings.failed("rope.freq_base", "is \(base), expected a number above 0") }
    let rotary = try GGUFRotaryScaling(settings, base: base, dimension: rotaryDimension)
    let window = try settings.optional("attention.sliding_window", "an integer", \.int).flatMap { $0 == 0 ? nil : $0 }
    let defaults = family.defaults(family.architectures[0])
    let layerCount = try settings.required("block_count")
    let layers = try defaults.layers.map { try SourceLayers(settings, $0, layerCount: layerCount, window: window, hiddenSize: hiddenSize, headCount: headCount, headSize: headSize) }
    if let window {
      guard (1...Int(Int32.max)).contains(window) else { throw settings.failed("attention.sliding_window", "is \(window), expected a positive number") }
    }
    if let window, layers == nil {
      warnings.append(settings.warning(
        "attention.sliding_window", "is \(window), which llama.cpp does not heed: engines are built for sequences no longer than it"))
    }
    let bos = try metadata.optional("tokenizer.ggml.bos_token_id", "an integer", \.int)
    let eos = try metadata.optional("tokenizer.ggml.eos_token_id", "an integer", \.int)
    let eot = try metadata.optional("tokenizer.ggml.eot_token_id", "an integer", \.int)
    let matrices = file.tensors.values.filter { $0.shape.count == 2 }
    let isQuantized = matrices.contains { !$0.type.isPlain }
    if isQuantized, let version = try metadata.optional("general.quantization_version", "an integer", \.int), version != 2 {
      throw WeightSourceError(file.origin, .configuration(
        key: "general.quantization_version", file: "metadata", reason: "is \(version), and only blocks of version 2 can be read"))
    }
    let shape = ModelShape(
      hiddenSize: hiddenSize, headCount: headCount, keyValueHeadCount: keyValueHeadCount, headSize: headSize,
      intermediateSize: try settings.required("feed_forward_length"), vocabularySize: embedding.shape[0],
      layerCount: layerCount)
    guard let epsilon = try settings.number("attention.layer_norm_rms_epsilon") else {
      throw settings.failed("attention.layer_norm_rms_epsilon", "is missing")
    }
    let positions = try settings.size("context_length")
    warnings += rotary.warnings + settings.unused
    self.init(
      origin: file.origin, family: family, architecture: family.architectures[0], shape: shape, hiddenActivation: defaults.activation.name,
      normEpsilon: JSONNumber(epsilon), rotaryBase: JSONNumber(base), rotaryDimension: rotaryDimension, rotaryScaling: rotary.json,
      maximumPositions: positions, slidingWindow: window, layers: layers, tiesEmbeddings: file.tensors["output.weight"] == nil,
      // Told by the tensors, when they have their names.
      attentionBias: false, mlpBias: false,
      elementType: isQuantized ? .float32 : embedding.type.delivered ?? .float32,
      isQuantized: isQuantized, bosTokenID: bos, eosTokenIDs: [eos, eot].compactMap { $0 }, warnings: warnings)
  }

  /// The table's rows are what counts; llama.cpp wants a token for each.
  private static func vocabularyWarnings(_ settings: GGUFSettings, rows: Int) throws -> [SourceWarning] {
    let tokens = try settings.file.metadata.optional("tokenizer.ggml.tokens", "an array of strings", \.strings)?.count
    if let tokens, tokens != rows {
      throw WeightSourceError(settings.file.origin, .configuration(
        key: "tokenizer.ggml.tokens", file: "metadata", reason: "has \(tokens) tokens, but 'token_embd.weight' has \(rows) rows. Convert the model to GGUF again"))
    }
    guard let said = try settings.optional("vocab_size", "an integer", \.int), said != rows else { return [] }
    return [settings.warning("vocab_size", "is \(said), but 'token_embd.weight' has \(rows) rows, which count")]
  }
}
