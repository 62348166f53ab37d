import JSON

/// Rotary embedding as a Hugging Face configuration sets it, whichever of its keys say so.
///
/// In transformers' order: a `rope_scaling` that holds something counts before `rope_parameters`, what stands inside of
/// the chosen one before what stands beside it, and `rope_type` before `type`.
struct RotarySettings {
  let base: JSONNumber
  /// `rope_type`, `factor` and so on under their present names, or nil for no scaling.
  let scaling: JSONValue?
  let warnings: [SourceWarning]

  static let supportedTypes = ["default", "linear", "llama3"]

  /// - Parameters:
  ///   - positions: `max_position_embeddings`, the original length where none is given.
  ///   - architecture: For messages.
  ///   - base: Where nothing gives one.
  init(_ config: ConfigReader, base: Double, positions: Int, architecture: String) throws(WeightSourceError) {
    var warnings: [SourceWarning] = []
    let old = try config.unlessFalse("rope_scaling", "an object", \.object) ?? [:]
    let new = try config.optional("rope_parameters", "an object", \.object) ?? [:]
    let name = old.isEmpty ? "rope_parameters" : "rope_scaling"
    if !old.isEmpty, !new.isEmpty, old != new {
      warnings.append(config.warning("rope_parameters", "differs from rope_scaling, which counts, as in transformers"))
    }
    let chosen = JSONValue.object(old.isEmpty ? new : old)
    let inner = ConfigReader(path: config.path, file: config.file, json: chosen, prefix: "\(name).")
    for (key, value) in chosen.object ?? [:] where value.object != nil {
      throw inner.failed(key, "is an object: settings that differ from layer to layer are not supported")
    }
    try self.init(inner, of: config, base: base, readsOldType: true, positions: positions, architecture: architecture, warnings)
  }

  /// - Parameters:
  ///   - inner: The chosen object.
  ///   - config: What stands beside it.
  ///   - readsOldType: Whether `type` counts where `rope_type` is missing.
  init(
    _ inner: ConfigReader, of config: ConfigReader, base: Double, readsOldType: Bool, positions: Int, architecture: String, _ told: [SourceWarning] = []
  ) throws(WeightSourceError) {
    var warnings = told
    let name = inner.prefix.dropLast()
    let inside = try inner.number("rope_theta")
    let beside = try config.number("rope_theta")
    if let inside, let beside, inside.double != beside.double {
      warnings.append(config.warning("rope_theta", "is \(beside.text), but \(name).rope_theta is \(inside.text), which counts"))
    }
    let base = inside ?? beside ?? JSONNumber(base)
    guard (base.double ?? 0) > 0 else { throw config.failed("rope_theta", "is \(base.text), expected a number above 0") }
    self.base = base

    let type = try inner.unlessAbsent("rope_type", "a string", \.string)
    let oldType = readsOldType ? try inner.unlessAbsent("type", "a string", \.string) : nil
    if let type, let oldType, type != oldType {
      warnings.append(inner.warning("type", "is '\(oldType)', but rope_type is '\(type)', which counts"))
    }
    let kind = type ?? oldType ?? "default"
    func required(_ key: String) throws(WeightSourceError) -> JSONValue {
      guard let number = try inner.number(key) else { throw inner.failed(key, "is missing; '\(kind)' needs it") }
      guard let value = number.double, value > 0 else { throw inner.failed(key, "is \(number.text), expected a number above 0") }
      return .double(value)  // 8 and 8.0 are one setting
    }
    switch kind {
    case "default": scaling = nil
    case "linear": scaling = ["rope_type": "linear", "factor": try required("factor")]
    case "llama3":
      let (factor, low, high) = (try required("factor"), try required("low_freq_factor"), try required("high_freq_factor"))
      guard (low.double ?? 0) < (high.double ?? 0) else { throw inner.failed("high_freq_factor", "is not above low_freq_factor") }
      let within = try inner.unlessAbsent("original_max_position_embeddings", "a whole number", \.int)
      let outside = try config.unlessAbsent("original_max_position_embeddings", "a whole number", \.int)
      if let within, let outside, within != outside {
        warnings.append(
          inner.warning(
            "original_max_position_embeddings", "is \(within), but beside \(name) it is \(outside), which counts, as in transformers"))
      }
      if within == nil, outside == nil {
        warnings.append(
          inner.warning(
            "original_max_position_embeddings", "is missing: max_position_embeddings, \(positions), counts, as in transformers"))
      }
      let original = outside ?? within ?? positions
      guard original > 0 else { throw inner.failed("original_max_position_embeddings", "is \(original), expected a positive number") }
      scaling = [
        "rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high,
        "original_max_position_embeddings": .int(original),
      ]
    default:
      throw inner.failed(type == nil ? "type" : "rope_type", "is '\(kind)', which is not supported. Supported: \(Self.supportedTypes.joined(separator: ", "))")
    }
    // These classes turn whole heads: transformers heeds a fraction only where it then fails.
    let fraction = try inner.optional("partial_rotary_factor", "a number", \.double)
    let outerFraction = try config.optional("partial_rotary_factor", "a number", \.double)
    if let fraction = fraction ?? outerFraction, fraction != 1 {
      guard scaling == nil else {
        throw config.failed("partial_rotary_factor", "is \(fraction): \(architecture) turns whole heads, with the scaling '\(kind)' too")
      }
      warnings.append(config.warning("partial_rotary_factor", "is \(fraction) and not used: \(architecture) turns whole heads, in transformers too"))
    }
    self.warnings = warnings + ConfigKeys.warnings(of: inner, where: "of '\(kind)'")
  }
}
