package import Checkpoints
import JSON

/// The mixtures of experts of a model: layers whose MLP is many small ones, of which each token goes through a few.
public struct ExpertShape: Sendable, Hashable {
  /// Experts in each layer that has any.
  public var count: Int
  /// Experts that a token goes to: from 1 to ``count``.
  public var chosen: Int
  /// Whether the shares of a token's experts are divided by their sum.
  public var normalizes: Bool
  /// Width of an expert between its projections.
  public var intermediateSize: Int
  /// Layers of the whole model that have one MLP of ``ModelShape/intermediateSize`` in their place.
  public var denseLayers: Set<Int>

  /// Checks nothing: reading a model's configuration does.
  public init(count: Int, chosen: Int, normalizes: Bool, intermediateSize: Int, denseLayers: Set<Int> = []) {
    self.count = count
    self.chosen = chosen
    self.normalizes = normalizes
    self.intermediateSize = intermediateSize
    self.denseLayers = denseLayers
  }

  /// Tables are made with entries for every expert of every layer, so their number is bounded: the largest published models have some
  /// ten thousand.
  package static let limit = 1 << 18

  /// Layers without experts, where every so many layers has them, and some have not whatever their place is.
  ///
  /// - Parameter step: At least 1.
  package static func denseLayers(step: Int, except others: Set<Int>, layerCount: Int) -> Set<Int> {
    Set((0..<layerCount).filter { others.contains($0) || ($0 + 1) % step != 0 })
  }
}

extension ExpertShape {
  /// Members of a checkpoint's configuration that only families with experts read.
  static let fields: Set<String> = [
    "moe_intermediate_size", "decoder_sparse_step", "mlp_only_layers", "moe_num_experts", "moe_top_k", "moe_normalization_mode",
  ]

  /// As upstream's `moe` object says it, or the flat keys of older files.
  ///
  /// - Throws: For a model without experts, and for ways of choosing them that no network here has.
  package init(_ config: CheckpointConfig) throws(UnsupportedModel) {
    let moe = config.json["moe"]
    func given(_ key: String) -> JSONValue? {
      for value in [moe?[key], config.json["moe_\(key)"]] { if let value, !value.isNull { return value } }
      return nil
    }
    func number(_ key: String, _ range: ClosedRange<Int>) throws(UnsupportedModel) -> Int {
      guard let value = given(key), let number = value.int, range.contains(number) else {
        throw .unclear("moe.\(key)", "is \(given(key)?.serialized() ?? "missing")", "it must be a number from \(range.lowerBound) to \(range.upperBound)")
      }
      return number
    }
    count = try number("num_experts", 1...max(1, Self.limit / config.layerCount))
    chosen = try number("top_k", 1...count)
    normalizes = try given("normalization_mode").map { (_) throws(UnsupportedModel) in try number("normalization_mode", 0...1) == 1 } ?? true
    for key in ["shared_expert_intermediate_size", "device_limited_n_group", "device_limited_topk_group"] {
      if let size = given(key), size.double != 0 { throw .setting("moe.\(key)", size.serialized()) }
    }
    if let scale = given("device_limited_routed_scaling_factor"), scale.double != 1 {
      throw .setting("moe.device_limited_routed_scaling_factor", scale.serialized())
    }
    let json = config.json
    if let width = json["moe_intermediate_size"], !width.isNull {
      guard let width = width.int, (1...1 << 24).contains(width) else { throw .setting("moe_intermediate_size", width.serialized()) }
      intermediateSize = width
    } else {
      intermediateSize = config.intermediateSize
    }
    let step = json["decoder_sparse_step"].flatMap(\.unlessNull)
    guard let every = step?.int ?? (step == nil ? .some(1) : .none), every >= 1 else { throw .setting("decoder_sparse_step", step?.serialized() ?? "") }
    var others: Set<Int> = []
    let only = json["mlp_only_layers"].flatMap(\.unlessNull)
    if let only, only.array == nil { throw .setting("mlp_only_layers", only.serialized()) }
    for layer in only?.array ?? [] {
      guard let layer = layer.int else { throw .setting("mlp_only_layers", layer.serialized()) }
      others.insert(layer)
    }
    denseLayers = Self.denseLayers(step: every, except: others, layerCount: config.layerCount)
  }
}
