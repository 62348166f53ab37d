import Checkpoints
import JSON
import Networks

/// What a checkpoint's configuration says of layers that differ from each other, in a family that has such.
struct LayerSettings {
  /// By layer of the whole model; nil: none has a window.
  private let windows: [Bool]?
  /// By layer of the whole model; nil: all turn queries and keys.
  private let turned: [Bool]?
  /// Positions that a layer with a window sees.
  let window: Int?
  /// Of the rotary embedding of layers with a window; nil where no layer has one of its own.
  let localBase: Double?
  /// nil: as in every family.
  let scoreScale: Float?
  let scoreSoftCap: Float?
  let logitSoftCap: Float?

  /// Members that only families with windowed layers read, and those that only families with a list of turned layers do.
  static let windowFields: Set<String> = [
    "layer_types", "sliding_window_pattern", "rope_local_base_freq", "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping",
    "inter_layernorms",
  ]
  static let rotaryFields: Set<String> = ["no_rope_layers", "no_rope_layer_interval"]

  init(_ config: CheckpointConfig, _ style: DecoderStyle) throws(UnsupportedModel) {
    let fields = LayerFields(json: config.json, layerCount: config.layerCount)
    if let defaults = style.layers {
      let isWindowed = try fields.windows(defaults)
      let hasWindow = isWindowed.contains(true)
      windows = isWindowed
      window = try fields.count("sliding_window") ?? defaults.window
      guard !hasWindow || window != nil else { throw .setting("sliding_window", "missing, and layers have windows") }
      localBase = hasWindow && defaults.localBase != nil ? try fields.positive("rope_local_base_freq") ?? defaults.localBase : nil
      scoreScale = try (fields.positive("query_pre_attn_scalar") ?? defaults.queryScalar).map { Float(1 / $0.squareRoot()) }
      scoreSoftCap = try fields.cap("attn_logit_softcapping")
      logitSoftCap = try fields.cap("final_logit_softcapping")
    } else {
      (windows, window, localBase, scoreScale, scoreSoftCap, logitSoftCap) = (nil, nil, nil, nil, nil, nil)
    }
    switch style.rotaryLayers {
    case .all: turned = nil
    case .windowed: turned = window == nil ? nil : windows
    case .listed(let interval): turned = try fields.turned(interval)
    }
  }

  /// - Parameter layer: Of the whole model.
  func isWindowed(_ layer: Int) -> Bool { windows?[layer] ?? false }

  /// Which of a network's rotary embeddings a layer of the whole model has; nil: none.
  func rotary(_ layer: Int) -> Int? {
    guard turned?[layer] ?? true else { return nil }
    return localBase != nil && isWindowed(layer) ? 1 : 0
  }
}

/// Typed look-ups, where null is as good as absent.
private struct LayerFields {
  let json: JSONValue
  let layerCount: Int

  private func given(_ key: String) -> JSONValue? { json[key].flatMap(\.unlessNull) }

  func positive(_ key: String) throws(UnsupportedModel) -> Double? {
    guard let value = given(key) else { return nil }
    guard let number = value.double, number > 0, number.isFinite else { throw .setting(key, value.serialized()) }
    return number
  }
  func count(_ key: String) throws(UnsupportedModel) -> Int? {
    guard let number = try positive(key) else { return nil }
    guard let whole = Int(exactly: number) else { throw .setting(key, "\(number)") }
    return whole
  }
  func cap(_ key: String) throws(UnsupportedModel) -> Float? {
    guard let cap = try positive(key).map({ Float($0) }) else { return nil }
    guard Unary.caps.contains(cap) else { throw .setting(key, "\(cap)") }
    return cap
  }

  func windows(_ defaults: LayerDefaults) throws(UnsupportedModel) -> [Bool] {
    guard let kinds = given("layer_types") else {
      return LayerDefaults.windows(pattern: try count("sliding_window_pattern") ?? defaults.pattern, layerCount: layerCount)
    }
    var found: [Bool] = []
    for kind in kinds.array ?? [] {
      switch kind.string {
      case "sliding_attention": found.append(true)
      case "full_attention": found.append(false)
      default: throw .setting("layer_types", kind.serialized())
      }
    }
    guard found.count == layerCount else { throw .setting("layer_types", "of \(found.count) for \(layerCount) layers") }
    return found
  }

  func turned(_ interval: Int) throws(UnsupportedModel) -> [Bool] {
    guard let list = given("no_rope_layers") else {
      return RotaryLayers.turned(interval: try count("no_rope_layer_interval") ?? interval, layerCount: layerCount)
    }
    let found = (list.array ?? []).compactMap(\.int)
    guard found.count == list.array?.count, found.count >= layerCount else { throw .setting("no_rope_layers", "no list of a number for each of \(layerCount) layers") }
    return found.prefix(layerCount).map { $0 != 0 }
  }
}

extension ModelFamily {
  /// Members of a checkpoint's configuration that this family's network reads beside those that all read.
  package var ownFields: Set<String> {
    var fields: Set<String> = decoder.layers == nil ? [] : LayerSettings.windowFields
    if case .listed = decoder.rotaryLayers { fields.formUnion(LayerSettings.rotaryFields) }
    return fields.union(decoder.experts == nil ? [] : ExpertShape.fields)
  }
  /// Whether a window bounds what some layers see, not how long a sequence may be.
  package var hasWindowedLayers: Bool { decoder.layers != nil }
}
