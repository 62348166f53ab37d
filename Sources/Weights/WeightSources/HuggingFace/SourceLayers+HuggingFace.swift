import Families
import JSON

extension SourceLayers {
  /// As transformers' class reads them from a configuration: the kinds of the layers before a pattern, null for neither refused.
  ///
  /// - Parameters:
  ///   - window: `sliding_window`, or what stands for it.
  ///   - localBase: Of the rotary embedding of layers with a window, where they have one of their own.
  ///   - whole: The class around this model, which computes logits itself.
  init(
    _ config: ConfigReader, _ defaults: LayerDefaults, layerCount: Int, window: Int?, localBase: JSONNumber?, whole: WholeModel? = nil, _ warnings: inout [SourceWarning]
  ) throws(WeightSourceError) {
    isWindowed = try Self.kinds(config, defaults, layerCount: layerCount, &warnings)
    if isWindowed.contains(true), window == nil { throw config.failed("sliding_window", "is null, and \(isWindowed.count { $0 }) layers have a window") }
    self.localBase = localBase
    if let standard = defaults.queryScalar {
      let given = try config.unlessAbsent("query_pre_attn_scalar", "a whole number", \.int) ?? Int(standard)
      guard given > 0 else { throw config.failed("query_pre_attn_scalar", "is \(given), expected a positive number") }
      queryScalar = JSONNumber(given)
    } else {
      queryScalar = nil
    }
    scoreSoftCap = try Self.cap(config, "attn_logit_softcapping", defaults.scoreSoftCap)
    if let whole {
      logitSoftCap = nil
      if let value = config.value("final_logit_softcapping"), !value.isNull {
        warnings.append(
          config.warning(
            "final_logit_softcapping", "is \(SourceWarning.shortened(value.serialized(), to: 40)) and not used, as by \(whole.architecture) of transformers; llama.cpp uses it"))
      }
      return
    }
    logitSoftCap = try Self.cap(config, "final_logit_softcapping", defaults.logitSoftCap)
  }

  private static func cap(_ config: ConfigReader, _ key: String, _ rule: LayerDefaults.SoftCap) throws(WeightSourceError) -> JSONNumber? {
    guard rule.isAsked else { return nil }
    guard config.json[key] != nil else { return rule.standard.map { JSONNumber($0) } }
    let cap = try config.optional(key, "a number") { if case .number(let number) = $0 { number } else { nil } }
    if let cap, !((cap.double ?? 0) > 0 && (cap.double ?? 0).isFinite) { throw config.failed(key, "is \(cap.text), expected a number above 0, or null") }
    return cap
  }

  private static func kinds(
    _ config: ConfigReader, _ defaults: LayerDefaults, layerCount: Int, _ warnings: inout [SourceWarning]
  ) throws(WeightSourceError) -> [Bool] {
    func repeated(_ pattern: Int) -> [Bool] { LayerDefaults.windows(pattern: pattern, layerCount: layerCount) }
    let kinds = try config.optional("layer_types", "an array", \.array)
    let given = defaults.readsPattern ? config.value("sliding_window_pattern") : nil
    var found: [Bool]
    if let kinds {
      guard kinds.count == layerCount else { throw config.failed("layer_types", "has \(kinds.count) entries for \(layerCount) layers") }
      found = []
      for (index, kind) in kinds.enumerated() {
        switch kind.string {
        case "sliding_attention": found.append(true)
        case "full_attention": found.append(false)
        default: throw config.failed("layer_types[\(index)]", "is \(SourceWarning.shortened(kind.serialized(), to: 40)). Supported: sliding_attention, full_attention")
        }
      }
      if let pattern = given?.int, pattern > 0, repeated(pattern) != found {
        warnings.append(config.warning("sliding_window_pattern", "is \(pattern), but layer_types says otherwise, which counts, as in transformers"))
      }
    } else {
      let said = defaults.readsPattern ? try config.unlessAbsent("sliding_window_pattern", "a whole number", \.int) : nil
      let pattern = said ?? defaults.pattern
      guard pattern > 0 else { throw config.failed("sliding_window_pattern", "is \(pattern), expected a positive number") }
      found = repeated(pattern)
    }
    // transformers writes this one beside the kinds and does not read it.
    if defaults.readsPattern, let other = config.value("_sliding_window_pattern")?.int, kinds == nil, other < 1 || repeated(other) != found {
      warnings.append(config.warning("_sliding_window_pattern", "is \(other) and not used, as in transformers: write sliding_window_pattern or layer_types"))
    }
    return found
  }
}

/// Rotary embedding of a class that has settings of its own for each kind of layer.
///
/// In transformers' order: what stands in `rope_parameters` under the kind of layer, then the older keys, then the class's defaults;
/// but `rope_scaling` is put over what layers that see everything have. There only `rope_type` names a scaling.
struct LayeredRotary {
  /// Of layers that see everything.
  let whole: RotarySettings
  /// Of layers with a window.
  let localBase: JSONNumber
  let warnings: [SourceWarning]

  /// - Parameter ownBase: The class's base of layers with a window.
  init(_ config: ConfigReader, _ defaults: ConfigurationDefaults, ownBase: Double, positions: Int, architecture: String) throws(WeightSourceError) {
    var warnings: [SourceWarning] = []
    let old = try config.unlessFalse("rope_scaling", "an object", \.object) ?? [:]
    let parameters = try config.optional("rope_parameters", "an object", \.object) ?? [:]
    func part(_ kind: String) throws(WeightSourceError) -> JSONObject {
      guard let value = parameters[kind], !value.isNull else { return [:] }
      guard let object = value.object else { throw config.failed("rope_parameters.\(kind)", "is \(value.kind), expected an object") }
      return object
    }
    let (full, sliding) = (try part("full_attention"), try part("sliding_attention"))
    for (key, value) in parameters where key != "full_attention" && key != "sliding_attention" {
      warnings.append(
        config.warning(
          "rope_parameters.\(key)", "is \(SourceWarning.shortened(value.serialized(), to: 40)) and not used, as in transformers: settings belong below full_attention and sliding_attention"))
    }
    for (key, value) in old {
      if let other = full[key], other != value {
        warnings.append(config.warning("rope_parameters.full_attention.\(key)", "is \(other.serialized()), but rope_scaling.\(key) is \(value.serialized()), which counts, as in transformers"))
      }
    }
    let merged = full.merging(old) { $1 }
    whole = try RotarySettings(
      ConfigReader(path: config.path, file: config.file, json: .object(merged), prefix: old.isEmpty ? "rope_parameters.full_attention." : "rope_scaling."), of: config,
      base: defaults.rotaryBase, readsOldType: false, positions: positions, architecture: architecture)

    let inner = ConfigReader(path: config.path, file: config.file, json: .object(sliding), prefix: "rope_parameters.sliding_attention.")
    if let kind = try inner.unlessAbsent("rope_type", "a string", \.string), kind != "default" {
      throw inner.failed("rope_type", "is '\(kind)'; positions of layers with a window are not stretched here")
    }
    let (inside, beside) = (try inner.number("rope_theta"), try config.number("rope_local_base_freq"))
    if let inside, let beside, inside.double != beside.double {
      warnings.append(config.warning("rope_local_base_freq", "is \(beside.text), but \(inner.prefix)rope_theta is \(inside.text), which counts"))
    }
    localBase = inside ?? beside ?? JSONNumber(ownBase)
    guard (localBase.double ?? 0) > 0 else { throw config.failed("rope_local_base_freq", "is \(localBase.text), expected a number above 0") }
    self.warnings = warnings + ConfigKeys.warnings(of: inner)
  }
}
