import Families

extension ExpertShape {
  /// As the class of transformers reads it.
  ///
  /// - Parameters:
  ///   - intermediateSize: Of an MLP.
  ///   - layerCount: At most as many as a checkpoint may have.
  init(_ config: ConfigReader, _ settings: ExpertStyle.Settings, intermediateSize: Int, layerCount: Int) throws(WeightSourceError) {
    func size(_ key: String, _ own: Int) throws(WeightSourceError) -> Int {
      guard let number = try config.unlessAbsent(key, "a whole number", \.int) else { return own }
      guard (1...1 << 24).contains(number) else { throw config.failed(key, "is \(number), expected a number from 1 to \(1 << 24)") }
      return number
    }
    // Both are looked at, so that the other is not said to be unused.
    let counts = try settings.counts.map { (key) throws(WeightSourceError) in (key: key, count: try config.unlessAbsent(key, "a whole number", \.int)) }
    let said = counts.first { $0.count != nil }
    let count = said?.count ?? settings.count
    let most = max(1, Self.limit / layerCount)
    guard (1...most).contains(count) else {
      throw config.failed(said?.key ?? settings.counts[0], "is \(count), expected a number from 1 to \(most)")
    }
    let chosen = try size("num_experts_per_tok", settings.chosen)
    guard chosen <= count else { throw config.failed("num_experts_per_tok", "is \(chosen), and there are \(count) experts") }
    self.init(
      count: count, chosen: chosen, normalizes: try settings.normalizes.map { (key) throws(WeightSourceError) in try config.bool(key) ?? false } ?? true,
      intermediateSize: try settings.width.map { (width) throws(WeightSourceError) in try size(width.key, width.size) } ?? intermediateSize)
    guard settings.hasDenseLayers else { return }
    let step = try size("decoder_sparse_step", 1)
    let others = try config.optional("mlp_only_layers", "a list of layers") { value -> [Int]? in
      guard let layers = value.array else { return nil }
      let numbers = layers.compactMap(\.int)
      return numbers.count == layers.count ? numbers : nil
    }
    denseLayers = Self.denseLayers(step: step, except: Set(others ?? []), layerCount: layerCount)
  }
}
