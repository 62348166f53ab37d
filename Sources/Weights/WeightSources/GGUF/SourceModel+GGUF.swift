import Families
import JSON
import Tensors

extension SourceModel {
  /// Reads a GGUF file's hyperparameters, as llama.cpp's loader does.
  ///
  /// Keys that are missing or of the wrong kind, and settings that are not supported, are kept in ``failures``.
  ///
  /// - Throws: ``GGUFError`` or ``WeightSourceError`` where the family is not known or there are no sizes, with all settings that
  ///   cannot be used.
  init(gguf file: GGUFFile) throws {
    let metadata = file.metadata
    let architecture = try metadata.architecture()
    let settings = GGUFSettings(file, architecture: architecture)
    var failures = SettingFailures()
    let experts: Int = try failures.read(0) { try settings.optional("expert_count", "an integer", \.int) ?? 0 }
    let family = try ModelFamily(ggufArchitecture: architecture, hasExperts: experts > 0, origin: file.origin)
    try failures.check {
      if experts > 0, family.decoder.experts == nil {
        throw settings.failed("expert_count", "is \(experts); mixtures of experts are not supported for \(architecture)")
      }
    }
    try failures.check {
      if try settings.optional("attention.causal", "a boolean", \.bool) == false {
        throw settings.failed("attention.causal", "is false: such attention sees later tokens, which is not supported")
      }
    }
    guard let embedding = file.tensors["token_embd.weight"], embedding.shape.count == 2 else {
      let missing = WeightSourceError.Problem.missing(names: ["token_embd.weight"])
      throw failures.error(at: file.origin, and: [missing]) ?? (WeightSourceError(file.origin, missing) as any Error)
    }
    let (shape, hasShape) = try Self.shape(settings, family, vocabularySize: embedding.shape[0], &failures)
    let rotaryDimension: Int = try failures.read(shape.headSize) {
      let rotaryDimension = try settings.size("rope.dimension_count") ?? shape.headSize
      guard !hasShape || rotaryDimension == shape.headSize else {
        throw settings.failed("rope.dimension_count", "is \(rotaryDimension), but a head has \(shape.headSize) numbers, and this family turns whole heads")
      }
      return rotaryDimension
    }
    var warnings: [SourceWarning] = try failures.read([]) { try Self.vocabularyWarnings(settings, rows: embedding.shape[0]) }
    let base: Double = try failures.read(10_000) {
      let base = try settings.number("rope.freq_base") ?? 10_000
      guard base > 0 else { throw settings.failed("rope.freq_base", "is \(base), expected a number above 0") }
      return base
    }
    // A table of divisors is looked at with the sizes.
    let rotary: GGUFRotaryScaling? = try failures.read(nil) { try hasShape ? GGUFRotaryScaling(settings, base: base, dimension: rotaryDimension) : nil }
    let window: Int? = try failures.read(nil) {
      let given = try settings.optional("attention.sliding_window", "an integer", \.int)
      let window = (given ?? family.decoder.layers?.window).flatMap { $0 == 0 ? nil : $0 }
      guard window.map({ (1...Int(Int32.max)).contains($0) }) ?? true else {
        throw settings.failed("attention.sliding_window", "is \(window ?? 0), expected a number from 1 to \(Int32.max)")
      }
      return window
    }
    let defaults = family.defaults(family.architectures[0])
    let layers: SourceLayers? = try failures.read(nil) {
      // Of so many layers as there are not, nothing is made.
      guard let own = family.decoder.layers, hasShape, shape.layerCount <= file.tensors.count else { return nil }
      return try SourceLayers(
        settings, own, layerCount: shape.layerCount, window: window, hiddenSize: shape.hiddenSize, headCount: shape.headCount, headSize: shape.headSize)
    }
    if let window, family.decoder.layers == nil {
      warnings.append(
        settings.warning(
          "attention.sliding_window", "is \(window), which llama.cpp does not heed: engines are built for sequences no longer than it"))
    }
    try failures.check {
      if let key = family.ggufRotarySwitch, try settings.optional(key, "a boolean", \.bool) == false {
        throw settings.failed(key, "is false: a model without rotary embedding, which is not supported for this family")
      }
    }
    let multipliers: [Multiplier.Place: JSONNumber] = try family.decoder.multipliers.reduce(into: [:]) { found, multiplier in
      found[multiplier.place] = try failures.read(nil) {
        let number = try settings.number(multiplier.gguf).flatMap { $0 == 0 ? nil : $0 }
        if number == nil, multiplier.divides { throw settings.failed(multiplier.gguf, "is missing or 0") }
        return number.map { JSONNumber($0) }
      }
    }
    func token(_ name: String) throws -> Int? { try failures.read(nil) { try metadata.optional("tokenizer.ggml.\(name)_token_id", "an integer", \.int) } }
    let (bos, eos, eot) = (try token("bos"), try token("eos"), try token("eot"))
    // An id of no token is none, as in llama.cpp.
    func known(_ id: Int?) -> Int? { id.flatMap { (0..<shape.vocabularySize).contains($0) ? $0 : nil } }
    let isQuantized = file.tensors.values.contains { $0.shape.count >= 2 && !$0.type.isPlain }
    try failures.check {
      if isQuantized, let version = try metadata.optional("general.quantization_version", "an integer", \.int), version != 2 {
        throw WeightSourceError(
          file.origin,
          .configuration(
            key: "general.quantization_version", file: "metadata", reason: "is \(version), and only blocks of version 2 can be read"))
      }
    }
    let epsilon: Double = try failures.read(0) {
      guard let epsilon = try settings.number("attention.layer_norm_rms_epsilon") else {
        throw settings.failed("attention.layer_norm_rms_epsilon", "is missing")
      }
      return epsilon
    }
    let positions: Int? = try failures.read(nil) { try settings.size("context_length") }
    guard hasShape else { throw failures.error(at: file.origin) ?? (settings.failed("embedding_length", "cannot be used") as any Error) }
    warnings += (rotary?.warnings ?? []) + settings.unused
    self.init(
      origin: file.origin, family: family, architecture: family.architectures[0], shape: shape, hiddenActivation: defaults.activation.name,
      normEpsilon: JSONNumber(epsilon), rotaryBase: JSONNumber(base), rotaryDimension: rotaryDimension, rotaryScaling: rotary?.json,
      maximumPositions: positions, slidingWindow: layers?.isWindowed.contains(true) == false ? nil : window, layers: layers,
      tiesEmbeddings: file.tensors["output.weight"] == nil,
      // Told by the tensors, when they have their names.
      attentionBias: false, mlpBias: false,
      elementType: isQuantized ? .float32 : embedding.type.delivered ?? .float32,
      isQuantized: isQuantized, bosTokenID: known(bos), eosTokenIDs: [eos, eot].compactMap(known), warnings: warnings, failures: failures)
    // llama.cpp has one interval for all models of a family that has a list.
    if case .listed(let interval) = family.decoder.rotaryLayers, shape.layerCount <= file.tensors.count {
      turnedLayers = RotaryLayers.turned(interval: interval, layerCount: shape.layerCount)
    }
    self.multipliers = multipliers
  }

  /// The model's sizes, and whether they are those that the metadata give.
  private static func shape(
    _ settings: GGUFSettings, _ family: ModelFamily, vocabularySize: Int, _ failures: inout SettingFailures
  ) throws -> (ModelShape, Bool) {
    let before = failures.all.count
    func required(_ name: String) throws -> Int { try failures.read(1) { try settings.required(name) } }
    func size(_ name: String) throws -> Int? { try failures.read(nil) { try settings.size(name) } }
    let (hiddenSize, headCount) = (try required("embedding_length"), try required("attention.head_count"))
    let (intermediateSize, layerCount) = (try required("feed_forward_length"), try required("block_count"))
    let keyValueHeadCount = try size("attention.head_count_kv") ?? headCount
    let headSize = try size("attention.key_length") ?? hiddenSize / headCount
    let valueSize = try size("attention.value_length") ?? hiddenSize / headCount
    if failures.all.count == before {
      try failures.check {
        guard headCount % keyValueHeadCount == 0 else {
          throw settings.failed("attention.head_count_kv", "is \(keyValueHeadCount), which does not divide the \(headCount) attention heads")
        }
      }
      try failures.check {
        guard headSize > 0, headSize % 2 == 0 else { throw settings.failed("attention.key_length", "is \(headSize), expected an even number") }
        guard valueSize == headSize else {
          throw settings.failed("attention.value_length", "is \(valueSize), but keys have \(headSize); only equal sizes are supported")
        }
      }
    }
    let hasSizes = failures.all.count == before
    let experts: ExpertShape? = try failures.read(nil) {
      try family.decoder.experts == nil ? nil : ExpertShape(settings, intermediateSize: intermediateSize, layerCount: layerCount)
    }
    let shape = ModelShape(
      hiddenSize: hiddenSize, headCount: headCount, keyValueHeadCount: keyValueHeadCount, headSize: headSize, intermediateSize: intermediateSize,
      vocabularySize: vocabularySize, layerCount: layerCount, experts: experts)
    return (shape, hasSizes)
  }

  /// The table's rows are what counts; llama.cpp wants a token for each.
  private static func vocabularyWarnings(_ settings: GGUFSettings, rows: Int) throws -> [SourceWarning] {
    let tokens = try settings.file.metadata.optional("tokenizer.ggml.tokens", "an array of strings", \.strings)?.count
    if let tokens, tokens != rows {
      throw WeightSourceError(
        settings.file.origin,
        .configuration(
          key: "tokenizer.ggml.tokens", file: "metadata", reason: "has \(tokens) tokens, but 'token_embd.weight' has \(rows) rows. Convert the model to GGUF again"))
    }
    guard let said = try settings.optional("vocab_size", "an integer", \.int), said != rows else { return [] }
    return [settings.warning("vocab_size", "is \(said), but 'token_embd.weight' has \(rows) rows, which count")]
  }
}
