import Checkpoints
import JSON
import Networks

/// What a checkpoint's configuration says of layers that differ in what they see, in a family that has such.
struct LayerSettings {
  /// By layer of the whole model; nil: none has a window.
  private let windows: [Bool]?
  /// Positions that a layer with a window sees.
  let window: Int?
  /// Of the rotary embedding of layers with a window; nil where no layer has one.
  let localBase: Double?
  /// nil: as in every family.
  let scoreScale: Float?
  let scoreSoftCap: Float?
  let logitSoftCap: Float?

  /// Members that only such families read.
  static let fields: Set<String> = [
    "layer_types", "sliding_window_pattern", "rope_local_base_freq", "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping",
    "inter_layernorms",
  ]

  init(_ config: CheckpointConfig, _ style: DecoderStyle) throws(UnsupportedModel) {
    guard let defaults = style.layers else {
      windows = nil
      (window, localBase, scoreScale, scoreSoftCap, logitSoftCap) = (nil, nil, nil, nil, nil)
      return
    }
    let json = config.json
    func given(_ key: String) -> JSONValue? {
      guard let value = json[key], !value.isNull else { return Optional.none }
      return value
    }
    func positive(_ key: String) throws(UnsupportedModel) -> Double? {
      guard let value = given(key) else { return nil }
      guard let number = value.double, number > 0, number.isFinite else { throw .setting(key, value.serialized()) }
      return number
    }
    let isWindowed: [Bool]
    if let kinds = given("layer_types") {
      var found: [Bool] = []
      for kind in kinds.array ?? [] {
        switch kind.string {
        case "sliding_attention": found.append(true)
        case "full_attention": found.append(false)
        default: throw .setting("layer_types", kind.serialized())
        }
      }
      guard found.count == config.layerCount else { throw .setting("layer_types", "of \(found.count) for \(config.layerCount) layers") }
      isWindowed = found
    } else {
      let pattern = try positive("sliding_window_pattern") ?? Double(defaults.pattern)
      guard let pattern = Int(exactly: pattern) else { throw .setting("sliding_window_pattern", "\(pattern)") }
      isWindowed = LayerDefaults.windows(pattern: pattern, layerCount: config.layerCount)
    }
    windows = isWindowed
    let hasWindow = isWindowed.contains(true)
    let window = try positive("sliding_window")
    guard !hasWindow || window != nil else { throw .setting("sliding_window", "missing, and layers have windows") }
    self.window = try window.map { (value) throws(UnsupportedModel) in
      guard let whole = Int(exactly: value) else { throw .setting("sliding_window", "\(value)") }
      return whole
    }
    localBase = hasWindow ? try positive("rope_local_base_freq") ?? defaults.localBase : nil
    scoreScale = try (positive("query_pre_attn_scalar") ?? defaults.queryScalar).map { Float(1 / $0.squareRoot()) }
    func cap(_ key: String) throws(UnsupportedModel) -> Float? {
      guard let cap = try positive(key).map({ Float($0) }) else { return nil }
      guard Unary.caps.contains(cap) else { throw .setting(key, "\(cap)") }
      return cap
    }
    scoreSoftCap = try cap("attn_logit_softcapping")
    logitSoftCap = try cap("final_logit_softcapping")
  }
}

extension LayerSettings {
  /// - Parameter layer: Of the whole model.
  func isWindowed(_ layer: Int) -> Bool { windows?[layer] ?? false }
}

extension ModelFamily {
  /// Members of a checkpoint's configuration that this family's network reads beside those that all read.
  package var ownFields: Set<String> {
    (decoder.layers == nil ? [] : LayerSettings.fields).union(decoder.experts == nil ? [] : ExpertShape.fields)
  }
  /// Whether a window bounds what some layers see, not how long a sequence may be.
  package var hasWindowedLayers: Bool { decoder.layers != nil }
}
