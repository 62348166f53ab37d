import JSON
import _StringProcessing

/// `adapter_config.json` of a PEFT LoRA adapter: the settings that change the result.
///
/// Settings that only matter in training are skipped; any other that is set and not known here is refused by name, so
/// that no adapter is merged into something its author did not mean.
struct LoRAConfig {
  let rank: Int
  let alpha: Double
  let usesRankStabilizedScale: Bool
  let usesDoRA: Bool
  /// The author keeps embeddings and output head equal when one of them is changed.
  let keepsEmbeddingsTied: Bool
  private let rankPatterns: [(Pattern, Int)]
  private let alphaPatterns: [(Pattern, Double)]

  /// Of a name in `rank_pattern` or `alpha_pattern`: a regular expression for the end of a module's path.
  private typealias Pattern = Regex<AnyRegexOutput>

  /// Settings that say how training went, not what the tensors mean.
  private static let ignored: Set<String> = [
    "auto_mapping", "base_model_name_or_path", "inference_mode", "lora_dropout", "peft_version", "revision", "task_type",
    "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save", "fan_in_fan_out",
    "megatron_core", "qalora_group_size", "runtime_config", "bias", "peft_type", "r", "lora_alpha", "use_rslora",
    "use_dora", "rank_pattern", "alpha_pattern", "ensure_weight_tying", "init_lora_weights",
  ]
  /// Ways of starting that leave the base model's weights as published. Others (PiSSA, OLoRA, CorDA, LoftQ, …) change
  /// them, so that the adapter fits only the changed base.
  private static let harmlessStarts: Set<String> = ["gaussian", "eva", "orthogonal"]

  init(_ reader: ConfigReader) throws(WeightSourceError) {
    let type = try reader.string("peft_type") ?? "LORA"
    guard type == "LORA" else {
      throw WeightSourceError(reader.path, .unsupportedSettings(["peft_type = \(type)"], file: reader.file))
    }
    var refused: [String] = []
    for (key, value) in reader.json.object ?? [:] where !Self.ignored.contains(key) && Self.isSet(value) {
      refused.append("\(key) = \(value.serialized())")
    }
    if let start = reader.json["init_lora_weights"]?.string, !Self.harmlessStarts.contains(start) {
      refused.append("init_lora_weights = \"\(start)\"")
    }
    guard refused.isEmpty else { throw WeightSourceError(reader.path, .unsupportedSettings(refused.sorted(), file: reader.file)) }
    guard let rank = try reader.positive("r") else { throw reader.failed("r", "is missing") }
    self.rank = rank
    alpha = try reader.number("lora_alpha")?.double ?? 8
    usesRankStabilizedScale = try reader.bool("use_rslora") ?? false
    usesDoRA = try reader.bool("use_dora") ?? false
    keepsEmbeddingsTied = try reader.bool("ensure_weight_tying") ?? false
    rankPatterns = try Self.patterns("rank_pattern", reader) { value in value.int.flatMap { $0 > 0 ? $0 : nil } }
    alphaPatterns = try Self.patterns("alpha_pattern", reader, \.double)
  }

  private static func isSet(_ value: JSONValue) -> Bool {
    switch value {
    case .null, .bool(false): false
    case .array(let elements): !elements.isEmpty
    case .object(let members): !members.isEmpty
    default: true
    }
  }

  private static func patterns<Value>(
    _ key: String, _ reader: ConfigReader, _ read: (JSONValue) -> Value?
  ) throws(WeightSourceError) -> [(Pattern, Value)] {
    guard let members = try reader.optional(key, "an object", \.object) else { return [] }
    var patterns: [(Pattern, Value)] = []
    for (name, value) in members {
      guard let value = read(value) else { throw reader.failed(key, "gives '\(name)' \(value.kind), expected a positive number") }
      let pattern: Pattern
      do { pattern = try Regex("(.*\\.)?(\(name))") } catch {
        throw reader.failed(key, "holds '\(name)', which is not a regular expression that can be read here")
      }
      patterns.append((pattern, value))
    }
    return patterns
  }

  /// First match wins, over the whole path.
  private static func match<Value>(_ patterns: [(Pattern, Value)], _ module: String) -> Value? {
    patterns.first { (try? $0.0.wholeMatch(in: module)) != nil }?.1
  }

  /// The rank that the module's tensors should have.
  func rank(of module: String) -> Int { Self.match(rankPatterns, module) ?? rank }

  /// What B·A is multiplied by: alpha / r, or alpha / √r for a rank-stabilised adapter.
  func scale(of module: String) -> Double {
    let alpha = Self.match(alphaPatterns, module) ?? alpha
    let rank = Double(rank(of: module))
    return alpha / (usesRankStabilizedScale ? rank.squareRoot() : rank)
  }
}
