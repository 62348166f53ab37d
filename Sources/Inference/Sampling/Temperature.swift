/// Flattens (above 1) or sharpens (below 1) the distribution.
package enum Temperature {
  /// Divides logits by `temperature`, which is at least ``SamplingParameters/greedyBelow``.
  ///
  /// - Returns: The largest logit afterwards.
  package static func apply(_ temperature: Double, maximum: Float, to logits: inout MutableSpan<Float>) -> Float {
    guard temperature != 1 else { return maximum }
    let factor = Float(1 / temperature)
    VectorMath.scale(&logits, by: factor)
    return maximum * factor
  }
}
