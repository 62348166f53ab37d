package import Execution

/// Log-probabilities under the model itself, as OpenAI's API reports them.
package enum LogProbabilities {
  /// - Parameters:
  ///   - raw: The model's logits, untouched.
  ///   - maximum: The largest of them.
  package static func report(
    of chosen: Int32, top count: Int, raw: Span<Float>, maximum: Float, _ candidates: inout [Candidate]
  ) -> (chosen: Float, top: [TokenLogProbability]) {
    let normaliser = Double(maximum) + logarithm(VectorMath.sumOfExponentials(raw, minus: maximum))
    TopK.select(count, from: raw, into: &candidates)
    let top = candidates.map { TokenLogProbability(id: $0.id, logProbability: Float(Double($0.logit) - normaliser)) }
    return (Float(Double(raw[Int(chosen)]) - normaliser), top)
  }
}
