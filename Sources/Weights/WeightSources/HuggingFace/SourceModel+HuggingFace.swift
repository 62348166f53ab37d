import Checkpoints
import Families
import Files
import JSON
import SystemPackage
import Tensors

extension SourceModel {
  /// Reads `config.json` of a Hugging Face directory.
  ///
  /// Values that are missing or of the wrong kind, and settings that no engine can be built for, are kept in ``failures``: whoever
  /// has looked at the tensors, too, tells them.
  ///
  /// - Throws: ``WeightSourceError`` where the family is unknown or there are no sizes that tensors could be looked at with, with all
  ///   settings that cannot be used.
  init(huggingFace directory: HuggingFaceDirectory) throws {
    let outer = try ConfigReader(directory: directory.path, file: "config.json")
    var warnings: [SourceWarning] = []
    var failures = SettingFailures()
    let (family, architecture, whole) = try Self.family(outer, &warnings)
    try failures.check { try Self.refuseQuantized(outer, directory, &warnings) }
    let config = try whole.map { (whole) throws(WeightSourceError) in try Self.textSettings(outer, whole) } ?? outer
    for key in ["text_config", "per_layer_config"] {
      try failures.check {
        if let object = config.value(key)?.object, !object.isEmpty { throw config.failed(key, "holds settings of parts of a model, which is not supported") }
      }
    }
    let defaults = family.defaults(architecture)
    for (key, wrong) in [("is_causal", false), (defaults.bidirectionalFlag ?? "is_causal", defaults.bidirectionalFlag != nil)] {
      try failures.check {
        if try config.optional(key, "true or false", \.bool) == wrong { throw config.failed(key, "is \(wrong): such attention sees later tokens, which is not supported") }
      }
    }

    let (shape, hasShape) = try Self.shape(config, family, defaults, &failures)
    let (headSize, layerCount) = (shape.headSize, shape.layerCount)
    let positions: Int = try failures.read(defaults.positions) {
      let positions = try config.unlessAbsent("max_position_embeddings", "a whole number", \.int) ?? defaults.positions
      guard (1...Int(Int32.max)).contains(positions) else { throw config.failed("max_position_embeddings", "is \(positions), expected a number from 1 to \(Int32.max)") }
      return positions
    }
    let window: Int? = try failures.read(nil) { try Self.window(config, family, defaults, layerCount: layerCount, positions: positions, architecture, &warnings) }
    var rotary: RotarySettings?
    var layers: SourceLayers?
    try failures.check {
      var localBase: JSONNumber?
      if let ownBase = family.decoder.layers?.localBase {
        let layered = try LayeredRotary(config, defaults, ownBase: ownBase, positions: positions, architecture: architecture)
        (rotary, localBase) = (layered.whole, layered.localBase)
        warnings += layered.warnings
      } else {
        rotary = try RotarySettings(config, base: defaults.rotaryBase, positions: positions, architecture: architecture)
      }
      // Of so many layers as there are not, nothing is made.
      guard let own = family.decoder.layers, hasShape, layerCount <= directory.names.count else { return }
      layers = try SourceLayers(config, own, layerCount: layerCount, window: window, localBase: localBase, whole: whole, &warnings)
    }
    let turned: [Bool]? = try failures.read(nil) {
      guard case .listed(let interval) = family.decoder.rotaryLayers, hasShape, layerCount <= directory.names.count else { return nil }
      return try Self.turnedLayers(config, interval, layerCount: layerCount, &warnings)
    }
    var multipliers: [Multiplier.Place: JSONNumber] = [:]
    for multiplier in family.decoder.multipliers {
      multipliers[multiplier.place] = try failures.read(nil) {
        let number = try config.number(multiplier.key) ?? JSONNumber(1)
        guard let value = number.double, Float(value).isFinite, value != 0 || !multiplier.divides else {
          throw config.failed(multiplier.key, "is \(number.text), which nothing can be \(multiplier.divides ? "divided" : "multiplied") by")
        }
        return number
      }
    }
    var tokens: (bos: Int?, eos: [Int]) = try failures.read((nil, [])) { try Self.tokens(outer) }
    if whole != nil {
      let inner: (bos: Int?, eos: [Int]) = try failures.read((nil, [])) { try Self.tokens(config) }
      tokens = (tokens.bos ?? inner.bos, tokens.eos.isEmpty ? inner.eos : tokens.eos)
    }
    let activation = try failures.read("silu") { try Self.activation(config, defaults) }
    let epsilon: JSONNumber? = try failures.read(nil) { try config.number("rms_norm_eps") }
    let ties: Bool = try failures.read(false) { try outer.bool("tie_word_embeddings") ?? defaults.tiesEmbeddings }
    if whole != nil, let inner = config.value("tie_word_embeddings"), inner != .bool(ties) {
      warnings.append(config.warning("tie_word_embeddings", "is \(SourceWarning.shortened(inner.serialized(), to: 40)), but \(ties) outside of text_config, which counts"))
    }
    let attentionBias = try failures.read(false) { try Self.bias(config, "attention_bias", defaults.attentionBias) }
    let mlpBias = try failures.read(false) { try Self.bias(config, "mlp_bias", defaults.mlpBias) }
    let type: ElementType = try failures.read(.float32) { try Self.elementType(outer, directory, &warnings) }
    guard hasShape else { throw failures.error(at: directory.origin) ?? (config.failed("hidden_size", "cannot be used") as any Error) }
    warnings += rotary?.warnings ?? []
    warnings += ConfigKeys.warnings(of: config)
    if let whole { warnings += ConfigKeys.warnings(of: outer, except: whole.otherKeys) }
    self.init(
      origin: directory.origin, family: family, architecture: architecture, shape: shape, hiddenActivation: activation,
      normEpsilon: epsilon ?? JSONNumber(defaults.normEpsilon), rotaryBase: rotary?.base ?? JSONNumber(defaults.rotaryBase), rotaryDimension: headSize, rotaryScaling: rotary?.scaling,
      maximumPositions: positions, slidingWindow: window, layers: layers, tiesEmbeddings: ties, attentionBias: attentionBias, mlpBias: mlpBias,
      elementType: type, isQuantized: false, bosTokenID: tokens.bos, eosTokenIDs: tokens.eos, warnings: warnings, failures: failures)
    turnedLayers = turned
    self.multipliers = multipliers
  }

  /// Layers that turn queries and keys: those with another number than 0 in the list, or all but every so-manieth.
  private static func turnedLayers(
    _ config: ConfigReader, _ standard: Int, layerCount: Int, _ warnings: inout [SourceWarning]
  ) throws(WeightSourceError) -> [Bool] {
    let (list, step) = ("no_rope_layers", "no_rope_layer_interval")
    let interval = try config.unlessAbsent(step, "a whole number", \.int)
    guard let given = try config.optional(list, "an array", \.array) else {
      guard interval ?? standard > 0 else { throw config.failed(step, "is \(interval ?? 0), expected a positive number") }
      return RotaryLayers.turned(interval: interval ?? standard, layerCount: layerCount)
    }
    let numbers = given.compactMap(\.int)
    guard numbers.count == given.count else { throw config.failed(list, "holds something other than whole numbers") }
    guard numbers.count >= layerCount else { throw config.failed(list, "has \(numbers.count) entries for \(layerCount) layers") }
    let turned = numbers.prefix(layerCount).map { $0 != 0 }
    if let interval, interval > 0, RotaryLayers.turned(interval: interval, layerCount: layerCount) != turned {
      warnings.append(config.warning(step, "is \(interval), but \(list) says otherwise, which counts, as in transformers"))
    }
    return turned
  }

  /// The model's sizes, and whether they are those that the configuration gives.
  private static func shape(
    _ config: ConfigReader, _ family: ModelFamily, _ defaults: ConfigurationDefaults, _ failures: inout SettingFailures
  ) throws -> (ModelShape, Bool) {
    let before = failures.all.count
    func size(_ key: String) throws -> Int {
      if config.json[key] == nil, let own = defaults.sizes[key] { return own }
      return try failures.read(1) { try config.required(key) }
    }
    func count(_ key: String, _ own: Int?, refusesNull: Bool) throws -> Int? {
      try failures.read(nil) { () throws -> Int? in
        if refusesNull, config.json[key]?.isNull == true { throw config.failed(key, "is null, which this class does not take") }
        return try config.positive(key) ?? (config.json[key] == nil ? own : nil)
      }
    }
    let (hiddenSize, headCount) = (try size("hidden_size"), try size("num_attention_heads"))
    let (intermediateSize, vocabularySize, layerCount) = (try size("intermediate_size"), try size("vocab_size"), try size("num_hidden_layers"))
    let givenSize = try count("head_dim", defaults.headSize, refusesNull: defaults.headSize != nil)
    let headSize = givenSize ?? hiddenSize / headCount
    let keyValueHeadCount = try count("num_key_value_heads", defaults.keyValueHeadCount, refusesNull: family.decoder.layers != nil) ?? headCount
    // What hangs together is looked at where each is known.
    if failures.all.count == before {
      try failures.check {
        if givenSize == nil, hiddenSize % headCount != 0 {
          throw config.failed("hidden_size", "is \(hiddenSize), which the \(headCount) attention heads do not divide. Say head_dim")
        }
        guard headSize > 0, headSize % 2 == 0 else { throw config.failed("head_dim", "is \(headSize), expected an even number") }
      }
      try failures.check {
        guard headCount % keyValueHeadCount == 0 else {
          throw config.failed("num_key_value_heads", "is \(keyValueHeadCount), which does not divide the \(headCount) attention heads")
        }
      }
    }
    let hasSizes = failures.all.count == before
    let experts: ExpertShape? = try failures.read(nil) {
      // Of so many layers as no model has, nothing is made.
      guard let style = family.decoder.experts, layerCount <= CheckpointConfig.maximumLayerCount else { return nil }
      return try ExpertShape(config, style.settings, intermediateSize: intermediateSize, layerCount: layerCount)
    }
    let shape = ModelShape(
      hiddenSize: hiddenSize, headCount: headCount, keyValueHeadCount: keyValueHeadCount, headSize: headSize,
      intermediateSize: intermediateSize, vocabularySize: vocabularySize, layerCount: layerCount, experts: experts)
    return (shape, hasSizes)
  }

  /// `model_type` decides, as in transformers; `architectures` counts where there is none.
  private static func family(
    _ config: ConfigReader, _ warnings: inout [SourceWarning]
  ) throws(WeightSourceError) -> (ModelFamily, architecture: String, whole: WholeModel?) {
    let type = try config.string("model_type")
    let listed = (config.value("architectures")?.array ?? []).compactMap(\.string)
    // What cannot be converted at all is reported by the name that says more.
    if let first = listed.first, !listed.contains(where: ModelFamily.supportedArchitectures.contains), !first.hasSuffix("Model") {
      throw WeightSourceError(config.path, .unsupportedFamily(name: first, supported: ModelFamily.supportedArchitectures))
    }
    guard let type else {
      guard let first = listed.first else { throw config.failed("model_type", "is missing, and architectures names none either") }
      if let (family, whole) = wholeModel({ $0.architecture == first }) { return (family, whole.textArchitecture, whole) }
      return (try ModelFamily(architecture: first, origin: config.path), first, nil)
    }
    if let (family, whole) = wholeModel({ $0.modelType == type }) { return (family, whole.textArchitecture, whole) }
    guard let family = ModelFamily.all.first(where: { $0.modelTypes[type] != nil }), let architecture = family.modelTypes[type] else {
      throw config.failed(
        "model_type", "is '\(type)', which is not supported. Supported: \(ModelFamily.all.flatMap { $0.modelTypes.keys + $0.wholeModels.map(\.modelType) }.sorted().joined(separator: ", "))")
    }
    if let first = listed.first, first != architecture {
      warnings.append(config.warning("architectures", "names \(first), but model_type is '\(type)', which counts, as in transformers: \(architecture)"))
    }
    return (family, architecture, nil)
  }

  private static func wholeModel(_ fits: (WholeModel) -> Bool) -> (ModelFamily, WholeModel)? {
    for family in ModelFamily.all { if let whole = family.wholeModels.first(where: fits) { return (family, whole) } }
    return nil
  }

  /// The text model's settings. What only the outer object holds (tied tables, end tokens, type) is read there, as in transformers.
  private static func textSettings(
    _ config: ConfigReader, _ whole: WholeModel
  ) throws(WeightSourceError) -> ConfigReader {
    guard let settings = try config.optional("text_config", "an object", \.object) else { throw config.failed("text_config", "is missing: \(whole.architecture) has its text model's settings there") }
    let text = ConfigReader(path: config.path, file: config.file, json: .object(settings), prefix: "text_config.")
    _ = text.value("model_type")  // the outer one has said which
    return text
  }

  /// Tokens that attention looks back. A window that no sequence can outgrow is none.
  private static func window(
    _ config: ConfigReader, _ family: ModelFamily, _ defaults: ConfigurationDefaults, layerCount: Int, positions: Int, _ architecture: String,
    _ warnings: inout [SourceWarning]
  ) throws(WeightSourceError) -> Int? {
    if let flag = defaults.windowFlag, try !hasWindow(config, flag, defaults, layerCount: layerCount) {
      _ = config.value("sliding_window")  // looked at, and without effect
      return nil
    }
    let isGiven = config.json["sliding_window"] != nil
    // Layers with a window have it, however long a sequence is.
    if family.decoder.layers != nil { return try config.positive("sliding_window") ?? (isGiven ? nil : defaults.slidingWindow) }
    guard let window = try config.positive("sliding_window") ?? (isGiven ? nil : defaults.slidingWindow) else { return nil }
    if !isGiven, window < positions {
      warnings.append(
        config.warning(
          "sliding_window", "is missing: \(window), as in transformers. Write null if the model has none: engines are built for sequences no longer than it"))
    }
    if isGiven, defaults.slidingWindow == nil, !defaults.takesWindow, window < positions {
      warnings.append(
        config.warning(
          "sliding_window", "is \(window), but \(architecture) has none in transformers: engines are built for sequences no longer than it"))
    }
    return window
  }

  /// Whether any layer has a window, in a class that asks a key for it.
  private static func hasWindow(
    _ config: ConfigReader, _ flag: String, _ defaults: ConfigurationDefaults, layerCount: Int
  ) throws(WeightSourceError) -> Bool {
    let isWanted = try config.bool(flag) ?? false
    let kinds = config.value("layer_types")?.array
    for key in defaults.unreadWindowKeys { _ = config.value(key) }
    let first = try defaults.firstWindowLayer.map { (first) throws(WeightSourceError) in try config.unlessAbsent(first.key, "a whole number", \.int) ?? first.layer } ?? 0
    guard isWanted else { return false }
    return kinds.map { $0.contains("sliding_attention") } ?? (first < layerCount)
  }

  /// A class without biases does not look.
  private static func bias(_ config: ConfigReader, _ key: String, _ rule: ConfigurationDefaults.Bias) throws(WeightSourceError) -> Bool {
    switch rule {
    case .never: false
    case .always: true
    case .asked: try config.bool(key) ?? false
    }
  }

  /// Names of activations that an engine computes, by what transformers calls them.
  private static let activations = [
    "silu": "silu", "swish": "silu", "gelu": "gelu", "gelu_python": "gelu", "gelu_new": "gelu_new", "gelu_fast": "gelu_new",
    "gelu_accurate": "gelu_new", "gelu_pytorch_tanh": "gelu_pytorch_tanh", "gelu_python_tanh": "gelu_pytorch_tanh", "relu": "relu",
  ]
  private static func activation(_ config: ConfigReader, _ defaults: ConfigurationDefaults) throws(WeightSourceError) -> String {
    let key = defaults.activation.key
    let name = try config.unlessAbsent(key, "a string", \.string) ?? defaults.activation.name
    guard let known = activations[name] else {
      throw config.failed(key, "is '\(name)', which is not supported. Supported: \(activations.keys.sorted().joined(separator: ", "))")
    }
    return known
  }

  private static func tokens(_ config: ConfigReader) throws(WeightSourceError) -> (bos: Int?, eos: [Int]) {
    let bos = try config.optional("bos_token_id", "a token id") { $0.int ?? $0.array?.first?.int }
    let eos = try config.optional("eos_token_id", "a token id or several") { value -> [Int]? in
      if let one = value.int { return [one] }
      return value.array?.compactMap(\.int)
    }
    return (bos, eos ?? [])
  }

  /// What the configuration says, `dtype` before `torch_dtype`, or else the type of the first matrix.
  private static func elementType(
    _ config: ConfigReader, _ tensors: HuggingFaceDirectory, _ warnings: inout [SourceWarning]
  ) throws(WeightSourceError) -> ElementType {
    let first = tensors.names.lazy.compactMap { tensors.description(of: $0) }.first { $0.shape.count == 2 }?.elementType
    var said: [(key: String, type: ElementType)] = []
    for key in ["dtype", "torch_dtype"] {
      guard let name = try config.string(key) else { continue }
      let type = ElementType(configName: name.hasPrefix("torch.") ? String(name.dropFirst(6)) : name)
      if let type, ElementType.checkpointTypes.contains(type) { said.append((key, type)) }
    }
    if said.count == 2, said[0].type != said[1].type {
      warnings.append(config.warning("torch_dtype", "is \(said[1].type.configName ?? ""), but dtype is \(said[0].type.configName ?? ""), which counts"))
    }
    guard let (key, type) = said.first else {
      return first.flatMap { ElementType.checkpointTypes.contains($0) ? $0 : nil } ?? .float32
    }
    // Wider than the tensors loses nothing.
    if let first, first != type, type != .float32 {
      warnings.append(config.warning(key, "is \(type.configName ?? ""), but tensors are \(first.rawValue): '--dtype auto' rounds them, as transformers does"))
    }
    return type
  }
}
