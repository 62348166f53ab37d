import JSON
import Tensors

/// The settings that change what an adapter's tensors mean: `adapter_config.json`, or a GGUF file's metadata.
///
/// Settings that only matter in training are skipped; any other that is set and not known here is refused by name, so
/// that no adapter is merged into something its author did not mean.
struct LoRAConfig {
  /// Who wrote it.
  enum Saver: Sendable { case peft, mlx, llamaCpp }

  let saver: Saver
  /// nil: each module's tensors tell.
  private(set) var rank: Int?
  var alpha = 8.0
  /// What B·A is multiplied by, where it is given as such.
  var givenScale: Double?
  private(set) var usesRankStabilizedScale = false
  /// nil: not known.
  private(set) var usesDoRA: Bool? = false
  /// Inputs are averaged in groups before A.
  private(set) var poolsInputs = false
  /// The author keeps embeddings and output head equal when one of them is changed.
  private(set) var keepsEmbeddingsTied = false
  /// Which modules it is for.
  private(set) var targets = AdapterTargets.everything
  /// Which rows of a table are the adapter's own, by the end of the table's path; nil for the embedding table.
  private(set) var tokens: [(module: String?, rows: [Int])] = []
  private var rankPatterns: [(ModulePattern, Int)] = []
  private var alphaPatterns: [(ModulePattern, Double)] = []

  /// Without any setting.
  init(_ saver: Saver) { self.saver = saver }

  /// Settings that say how training went, or that what they change stands in the tensors.
  private static let ignored: Set<String> = [
    "auto_mapping", "base_model_name_or_path", "inference_mode", "lora_dropout", "peft_version", "revision", "task_type",
    "target_modules", "target_parameters", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save",
    "fan_in_fan_out", "megatron_core", "use_qalora", "qalora_group_size", "runtime_config", "bias", "lora_bias", "peft_type",
    "r", "lora_alpha", "use_rslora", "use_dora", "rank_pattern", "alpha_pattern", "ensure_weight_tying",
    "trainable_token_indices", "init_lora_weights",
    // Of ways to start; which one was used stands in init_lora_weights.
    "eva_config", "corda_config", "loftq_config", "lora_ga_config",
    // Other gradients or noise while training; the trained adapter is a plain one.
    "velora_config", "monteclora_config",
    // ms-swift's rates of learning.
    "lora_dtype", "lorap_lr_ratio", "lorap_emb_lr",
    // How PEFT of 2023 ran the model.
    "merge_weights",
  ]
  /// Ways of starting that leave the base model's weights as published. Others (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA)
  /// change them, so that the adapter fits only the changed base.
  private static let harmlessStarts: Set<String> = ["gaussian", "eva", "orthogonal", "mica", "true", "false"]
  /// Why a setting cannot be had.
  private static let reasons: [String: String] = [
    "layer_replication": "repeats layers of the model, which makes it another one",
    "alora_invocation_tokens": "changes weights only from these tokens of a prompt on",
    "arrow_config": "chooses among several adapters for each token",
    "kasa_config": "was trained on a base without its smallest singular values",
    "use_bdlora": "stores A or B as blocks of a diagonal",
    "megatron_config": "was made on Megatron's layers",
  ]
  static let mergeRemedy = "Merge the adapter with the program that made it, and refit with the merged model."

  /// - Parameter problems: Gets every setting that cannot be had; the rest is read all the same.
  /// - Throws: ``WeightSourceError`` for another kind of adapter, of which nothing else means the same.
  static func read(_ reader: ConfigReader, problems: inout [AdapterProblem]) throws(WeightSourceError) -> LoRAConfig {
    let isMLX = reader.json["peft_type"] == nil && (reader.json["lora_parameters"] != nil || reader.json["fine_tune_type"] != nil)
    var settings = AdapterSettings(reader)
    defer { problems += settings.problems }
    return isMLX ? LoRAConfig(mlx: &settings) : try LoRAConfig(peft: &settings)
  }

  private init(peft settings: inout AdapterSettings) throws(WeightSourceError) {
    let reader = settings.reader
    guard let type = settings.take({ (reader, _) throws(WeightSourceError) in try reader.string("peft_type") ?? "LORA" }) else {
      throw reader.failed("peft_type", "is no string")
    }
    guard type == "LORA" else {
      settings.add(
        AdapterProblem(
          .settings, "\(reader.file) sets peft_type = \(NameSummary([type])), and only LORA is a change that can be made here", remedy: Self.mergeRemedy))
      throw reader.failed("peft_type", "is \(NameSummary([type])), which is not supported")
    }
    for (key, value) in reader.json.object ?? [:] where !Self.ignored.contains(key) && Self.isSet(value) {
      let reason = Self.reasons[key].map { "which \($0)" } ?? "which this version does not know"
      settings.add(
        AdapterProblem(
          .settings, "\(reader.file) sets \(NameSummary(["\(key) = \(value.serialized())"])), \(reason)", remedy: Self.mergeRemedy))
    }
    if let start = reader.json["init_lora_weights"]?.string, !Self.harmlessStarts.contains(start.lowercased()) {
      settings.add(
        AdapterProblem(
          .settings, "\(reader.file) sets init_lora_weights = \(NameSummary(["\"\(start)\""])), which changed the base's weights too at the start",
          remedy: start.hasPrefix("loftq")
            ? Self.mergeRemedy
            : "Save it from PEFT with path_initial_model_for_weight_conversion, or merge it there and refit with the merged model."))
    }
    self.init(.peft)
    rank = settings.take { (reader, _) throws(WeightSourceError) in
      if reader.value("r") == nil { return 8 }
      guard let rank = try reader.positive("r") else { throw reader.failed("r", "is null, expected a number from 1") }
      return rank
    }
    alpha = settings.take { (reader, _) throws(WeightSourceError) in try reader.number("lora_alpha")?.double ?? 8 } ?? 8
    usesRankStabilizedScale = settings.flag("use_rslora") ?? false
    usesDoRA = settings.flag("use_dora")
    poolsInputs = settings.flag("use_qalora") ?? false
    keepsEmbeddingsTied = settings.flag("ensure_weight_tying") ?? false
    targets = AdapterTargets.read(&settings)
    tokens = settings.take { (reader, _) throws(WeightSourceError) in try Self.tokens(reader) } ?? []
    let ranks = settings.take { (reader, budget) throws(WeightSourceError) in
      try Self.patterns("rank_pattern", reader, &budget) { value in value.int.flatMap { (1...Int(Int32.max)).contains($0) ? $0 : nil } }
    }
    // Which modules have another rank is not known then.
    if ranks == nil { rank = nil }
    rankPatterns = ranks ?? []
    alphaPatterns = settings.take { (reader, budget) throws(WeightSourceError) in try Self.patterns("alpha_pattern", reader, &budget, \.double) } ?? []
  }

  /// mlx-lm's: the scale stands there as it is used, and no module differs from another.
  private init(mlx settings: inout AdapterSettings) {
    let reader = settings.reader
    let kind = settings.take { (reader, _) throws(WeightSourceError) in try reader.string("fine_tune_type") ?? "lora" } ?? "lora"
    let parameters = ConfigReader(path: reader.path, file: reader.file, json: reader.json["lora_parameters"] ?? .object([:]), prefix: "lora_parameters.")
    if kind != "lora" {
      settings.add(AdapterProblem(.settings, "\(reader.file) sets fine_tune_type = \(NameSummary([kind])), and only lora is read of mlx-lm's", remedy: "Fuse it with mlx_lm.fuse, and refit with that model."))
    }
    if parameters.json["alpha"] != nil {
      settings.add(
        AdapterProblem(
          .settings, "\(reader.file) has both scale and alpha, which versions of mlx-lm use differently", remedy: "Fuse it with mlx_lm.fuse, and refit with that model."))
    }
    self.init(.mlx)
    rank = settings.take { (_, _) throws(WeightSourceError) in try parameters.required("rank") }
    givenScale = settings.take { (_, _) throws(WeightSourceError) in
      guard let scale = try parameters.number("scale")?.double else { throw parameters.failed("scale", "is missing") }
      return scale
    }
  }

  private static func isSet(_ value: JSONValue) -> Bool {
    switch value {
    case .null, .bool(false): false
    case .string(let text): !text.isEmpty
    case .number(let number): number.double != 0
    case .array(let elements): !elements.isEmpty
    case .object(let members): !members.isEmpty
    default: true
    }
  }

  private static func tokens(_ reader: ConfigReader) throws(WeightSourceError) -> [(module: String?, rows: [Int])] {
    guard let value = reader.json["trainable_token_indices"], !value.isNull else { return [] }
    func rows(_ value: JSONValue) throws(WeightSourceError) -> [Int] {
      guard let elements = value.array else { throw reader.failed("trainable_token_indices", "is \(value.kind), expected numbers of tokens") }
      var rows: [Int] = []
      for element in elements {
        guard let row = element.int, row >= 0 else {
          throw reader.failed("trainable_token_indices", "holds \(element.int.map(String.init) ?? element.kind), expected numbers of tokens")
        }
        rows.append(row)
      }
      // Every one has a row of its own in the file.
      var seen: Set<Int> = []
      if let twice = rows.first(where: { !seen.insert($0).inserted }) {
        throw reader.failed("trainable_token_indices", "names token \(twice) twice, and which of its two rows counts is left to chance in PEFT")
      }
      return rows
    }
    guard let members = value.object else { return [(nil, try rows(value))] }
    guard members.count <= 1024 else { throw reader.failed("trainable_token_indices", "names \(members.count) modules, which is more than can be looked for") }
    var result: [(module: String?, rows: [Int])] = []
    for (module, value) in members { result.append((module, try rows(value))) }
    return result
  }

  private static func patterns<Value>(
    _ key: String, _ reader: ConfigReader, _ budget: inout ModulePattern.Budget, _ read: (JSONValue) -> Value?
  ) throws(WeightSourceError) -> [(ModulePattern, Value)] {
    guard let members = try reader.optional(key, "an object", \.object) else { return [] }
    var patterns: [(ModulePattern, Value)] = []
    for (name, value) in members {
      guard let value = read(value) else { throw reader.failed(key, "gives '\(NameSummary([name]))' \(value.kind), expected a positive number") }
      let pattern = try AdapterTargets.pattern(name, for: .end, key, reader, &budget)
      patterns.append((pattern, value))
    }
    return patterns
  }

  /// First match wins.
  private static func match<Value>(_ patterns: [(ModulePattern, Value)], _ path: String) -> Value? {
    patterns.first { $0.0.matches(path) }?.1
  }

  /// What PEFT's patterns are matched with: a parameter that was named by itself has its own name in it.
  static func key(_ path: String, _ way: AdapterTargets.Way?) -> String {
    way == .parameter ? StackedAdapterFile.stack(of: path) ?? "\(path).weight" : path
  }

  /// The rank that the module's tensors should have.
  ///
  /// - Parameter key: Of the module, as the adapter's author saw it; see ``key(_:_:)``.
  /// - Returns: nil where only the tensors tell.
  func rank(of key: String) -> Int? { Self.match(rankPatterns, key) ?? rank }

  /// What B·A is multiplied by: alpha / r, or alpha / √r for a rank-stabilised adapter.
  ///
  /// - Parameters:
  ///   - key: As for ``rank(of:)``.
  ///   - rank: The module's.
  func scale(of key: String, rank: Int) -> Double {
    if let givenScale { return givenScale }
    let alpha = Self.match(alphaPatterns, key) ?? alpha
    let rank = Double(rank)
    return alpha / (usesRankStabilizedScale ? rank.squareRoot() : rank)
  }

  /// The adapter's own rows of a table, whose path ends as the configuration says, also in the middle of a component.
  func tokenRows(of path: String, isTable: Bool) -> [Int]? {
    tokens.first { entry in entry.module.map { path.hasSuffix($0) } ?? isTable }?.rows
  }
}
