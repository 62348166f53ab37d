import Checkpoints
import Families
import JSON
import Tensors
import WeightSources

/// What a checkpoint's configuration gives cause to say before an engine is built from it.
enum ConfigurationWarnings {
  /// Fields that the networks read, or that say nothing about what a model computes.
  private static let known: Set<String> = [
    "architecture", "dtype", "logits_dtype", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "head_size", "intermediate_size", "hidden_act", "norm_epsilon", "position_embedding_type", "max_position_embeddings", "rotary_base",
    "rotary_emb_base", "rotary_embedding_dim", "rotary_dim", "rotary_pct", "rotary_scaling", "attn_bias", "mlp_bias", "tie_word_embeddings",
    "sliding_window", "use_parallel_embedding", "embedding_sharding_dim", "mapping", "quantization", "is_pruned", "qk_layernorm",
    "residual_mlp", "moe", "output_multiplier_scale", "residual_multiplier", "attention_multiplier", "embedding_multiplier",
    // Of programs and their plugins.
    "runtime_defaults", "disable_weight_only_quant_plugin", "remove_duplicated_kv_heads", "has_partial_lora_mask", "producer", "drydock",
    "share_embedding_table", "use_fused_mlp", "transformers_version", "_name_or_path", "architectures", "initializer_range", "use_cache",
    "bos_token_id", "eos_token_id", "pad_token_id", "kv_cache_type", "num_labels", "seq_length", "model_type", "kv_dtype",
  ]
  /// Values that leave a network as it is, where that is not null, false, zero or nothing.
  private static let neutral: [String: JSONValue] = [
    "use_input_layernorm_in_first_layer": true, "use_last_layernorm": true, "logits_scaling": 1, "logit_scale": 1, "mup_scale_factor": 1,
  ]

  /// One for each field that nothing uses and that says something.
  static func unused(_ config: CheckpointConfig) -> [SourceWarning] {
    // What a family's own checkpoints say the same of every model.
    let family = ModelFamily(checkpointArchitecture: config.architecture)
    let (own, read) = (family?.checkpointFields ?? [:], family?.ownFields ?? [])
    let unused = (config.json.object ?? [:]).filter { key, value in !known.contains(key) && !read.contains(key) && own[key] != value && !isNeutral(key, value) }
    return SourceWarning.few(
      (unused.map { ($0.key, $0.value) } + rotaryMembers(config) + runtimeDefaults(config)).map { key, value in
        SourceWarning(key, in: "config.json", "is \(value.serialized().prefix(60)), and nothing uses it: check that answers do not depend on it")
      })
  }

  /// Members of the rotary scaling that its kind does not read, and that say something.
  private static func rotaryMembers(_ config: CheckpointConfig) -> [(String, JSONValue)] {
    guard let scaling = config.rotaryScaling, let members = scaling.object else { return [] }
    var read: Set<String> = ["type", "rope_type"]
    switch (scaling["rope_type"] ?? scaling["type"])?.string {
    case "linear": read.insert("factor")
    case "llama3": read.formUnion(["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"])
    default: break
    }
    return members.compactMap { key, value in
      guard !read.contains(key), !isNeutral(key, value) else { return nil }
      if ["factor", "attention_factor", "mscale", "partial_rotary_factor"].contains(key), value.double == 1 { return nil }
      if key == "rope_theta", value.double == config.rotaryBase { return nil }
      return ("rotary_scaling.\(key)", value)
    }
  }

  /// What TensorRT-LLM's runtime would do with the model: how far attention sees, which answers depend on, is a warning; how memory is used is not.
  private static func runtimeDefaults(_ config: CheckpointConfig) -> [(String, JSONValue)] {
    let memory: Set<String> = [
      "enable_block_reuse", "max_tokens", "free_gpu_memory_fraction", "host_cache_size", "onboard_blocks", "cross_kv_cache_fraction",
      "secondary_offload_min_priority", "event_buffer_max_size", "enable_partial_reuse", "copy_on_partial_reuse", "use_uvm",
    ]
    let (name, inner) = ("runtime_defaults", "kv_cache_config")
    guard let defaults = config.json[name], !defaults.isNull else { return [] }
    guard let members = defaults.object else { return [(name, defaults)] }
    let cache = (members[inner]?.object ?? [:]).filter { !memory.contains($0.key) && !isNeutral($0.key, $0.value) }
    let others = members.filter { key, value in !(key == inner && value.object != nil) && !isNeutral(key, value) }
    return others.map { ("\(name).\($0.key)", $0.value) } + cache.map { ("\(name).\(inner).\($0.key)", $0.value) }
  }

  /// One for each field that says otherwise than another spelling of it, which counts.
  static func disagreements(_ config: CheckpointConfig) -> [SourceWarning] {
    let json = config.json
    var warnings: [SourceWarning] = []
    func given(_ key: String) -> JSONValue? { json[key].flatMap(\.unlessNull) }
    /// - Parameter value: What a spelling says, in the units of all.
    func compare(_ keys: [String], _ value: (String, JSONValue) -> Double?) {
      let said = keys.compactMap { key in given(key).flatMap { json in value(key, json).map { (key: key, value: $0, text: json.serialized()) } } }
      guard let first = said.first else { return }
      for other in said.dropFirst() where other.value != first.value {
        warnings.append(SourceWarning(other.key, in: "config.json", "is \(other.text.prefix(60)), but \(first.key) is \(first.text.prefix(60)), which counts"))
      }
    }
    // In the order in which ``CheckpointConfig`` asks for them.
    compare(["rotary_base", "rotary_emb_base"]) { $1.double }
    compare(["rotary_embedding_dim", "rotary_dim", "rotary_pct"]) { key, value in
      key == "rotary_pct" ? value.double.map { (Double(config.headSize) * $0).rounded(.towardZero) } : value.double
    }
    if let scaling = config.rotaryScaling, let type = scaling["rope_type"]?.string, let old = scaling["type"]?.string, type != old {
      warnings.append(SourceWarning("rotary_scaling.type", in: "config.json", "is '\(old.prefix(60))', but rope_type is '\(type.prefix(60))', which counts"))
    }
    if let names = given("architectures")?.array, let name = names.first?.string, name != config.architecture {
      warnings.append(SourceWarning("architectures", in: "config.json", "names \(name.prefix(60)), but architecture is \(config.architecture.prefix(60)), which counts"))
    }
    if let shares = given("share_embedding_table")?.bool, let ties = config.tieWordEmbeddings, shares != ties {
      warnings.append(SourceWarning("share_embedding_table", in: "config.json", "is \(shares) and not read: tie_word_embeddings is \(ties)"))
    }
    return warnings
  }

  private static func isNeutral(_ key: String, _ value: JSONValue) -> Bool {
    switch value {
    case .null: return true
    case .bool(false): return neutral[key] != true
    case .string(let text): if text.isEmpty { return true }
    case .array(let elements): if elements.isEmpty { return true }
    case .object(let members): if members.isEmpty { return true }
    case .number(let number): return number.double == 0 && neutral[key] == nil || neutral[key]?.double == number.double && number.double != nil
    case .bool(true): break
    }
    return neutral[key] == value
  }
}

/// How long a sequence an engine is built for, and what the model itself allows.
struct SequenceLimit {
  let length: Int
  let warnings: [SourceWarning]

  /// - Parameter asked: `--max_seq_len`, or nil for what the model allows.
  /// - Throws: Where more is asked than attention here can do as the model does.
  init(_ config: CheckpointConfig, asked: Int?, names: SettingNames = .config) throws(UnreachableLength) {
    var warnings: [SourceWarning] = []
    let (window, positions) = (config.window, config.positions)
    if let asked, let window, asked > window { throw UnreachableLength(asked: asked, window: window, name: names.window) }
    // What linear scaling stretches the positions to.
    let factor = Self.linearFactor(config)
    if let asked, Double(asked) > Double(positions) * factor {
      warnings.append(
        SourceWarning(
          names.positions, in: names.file,
          "is \(positions)\(factor > 1 ? ", stretched \(factor) times" : ""), and --max_seq_len \(asked) is more: the model was not made for such sequences"))
    }
    if asked == nil, config.maximumPositions == nil {
      warnings.append(SourceWarning(names.positions, in: names.file, "is missing: sequences of up to \(positions) tokens. Say --max_seq_len"))
    }
    if asked == nil, let window, window < positions {
      warnings.append(
        SourceWarning(
          names.window, in: names.file, "is \(window): the engine is for sequences of at most so many tokens, since longer ones are not supported for such models"))
    }
    length = PlanLimits.sequenceLength(asked, for: config)
    self.warnings = warnings
  }

  private static func linearFactor(_ config: CheckpointConfig) -> Double {
    guard let scaling = config.rotaryScaling, (scaling["rope_type"] ?? scaling["type"])?.string == "linear" else { return 1 }
    return max(1, scaling["factor"]?.double ?? 1)
  }
}

/// A sequence longer than the model's window.
struct UnreachableLength: Error {
  let asked: Int
  let window: Int
  var name = SettingNames.config.window
  var reason: String {
    "--max_seq_len is \(asked), but the model's attention looks back \(window) tokens (\(name)), and longer sequences are not "
      + "supported for such models. Give at most \(window), or leave it out."
  }
}
