import Families
import JSON

extension SourceLayers {
  /// As llama.cpp's loader reads them: without a window no layer has one, every so-manieth layer sees everything, and the scale of scores
  /// is not in the file.
  init(
    _ settings: GGUFSettings, _ defaults: LayerDefaults, layerCount: Int, window: Int?, hiddenSize: Int, headCount: Int, headSize: Int
  ) throws {
    let pattern = try settings.size("attention.sliding_window_pattern") ?? defaults.pattern
    let hasWindows = window != nil && layerCount == defaults.gguf.windowedLayers ?? layerCount
    isWindowed = LayerDefaults.windows(pattern: pattern, layerCount: layerCount).map { $0 && hasWindows }
    let base = try settings.number("rope.freq_base_swa")
    guard base ?? 1 > 0 else { throw settings.failed("rope.freq_base_swa", "is \(base ?? 0), expected a number above 0") }
    if let own = defaults.localBase {
      localBase = JSONNumber(base ?? own)
    } else {
      let whole = try settings.number("rope.freq_base") ?? 10_000
      guard base ?? whole == whole else { throw settings.failed("rope.freq_base_swa", "is \(base ?? 0), and rope.freq_base is \(whole); this family has one for all layers") }
      localBase = nil
    }
    // llama.cpp knows by their layers the models whose scalar is not the head's size.
    queryScalar = defaults.queryScalar.map { _ in JSONNumber(layerCount == defaults.gguf.hiddenScalarLayers ? hiddenSize / headCount : headSize) }
    func cap(_ key: String, _ rule: LayerDefaults.SoftCap) throws -> JSONNumber? {
      guard rule.isAsked else { return nil }
      let cap = try settings.number(key)
      if let cap, cap < 0 { throw settings.failed(key, "is \(cap), expected a number above 0") }
      return (cap ?? rule.standard).flatMap { $0 == 0 ? nil : JSONNumber($0) }
    }
    scoreSoftCap = try cap("attn_logit_softcapping", defaults.scoreSoftCap)
    logitSoftCap = try cap("final_logit_softcapping", defaults.logitSoftCap)
    _ = try settings.number("attention.scale")  // not read by llama.cpp either
  }
}
