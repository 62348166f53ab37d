import Families
import JSON

extension SourceLayers {
  /// As llama.cpp's loader reads them: without a window no layer has one, every so-manieth layer sees everything, and the scale of scores
  /// is not in the file.
  init(
    _ settings: GGUFSettings, _ defaults: LayerDefaults, layerCount: Int, window: Int?, hiddenSize: Int, headCount: Int, headSize: Int
  ) throws {
    let pattern = try settings.size("attention.sliding_window_pattern") ?? defaults.pattern
    isWindowed = LayerDefaults.windows(pattern: pattern, layerCount: layerCount).map { $0 && window != nil }
    let base = try settings.number("rope.freq_base_swa") ?? 10_000
    guard base > 0 else { throw settings.failed("rope.freq_base_swa", "is \(base), expected a number above 0") }
    localBase = JSONNumber(base)
    // The largest published model's, which llama.cpp knows by its layers.
    queryScalar = JSONNumber(layerCount == 62 ? hiddenSize / headCount : headSize)
    let cap = try settings.number("final_logit_softcapping")
    if let cap, cap < 0 { throw settings.failed("final_logit_softcapping", "is \(cap), expected a number above 0") }
    logitSoftCap = cap.flatMap { $0 == 0 ? nil : JSONNumber($0) }
    _ = try settings.number("attention.scale")  // not read by llama.cpp either
  }
}
