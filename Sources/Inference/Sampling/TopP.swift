/// Keeps the smallest set of most likely tokens whose probabilities sum to at least p ("nucleus"; arXiv:1904.09751).
package enum TopP {
  /// Cuts sorted candidates, whose probabilities are taken relative to their own sum. At least one stays.
  package static func cut(_ scratch: inout SamplingScratch, to share: Double) {
    scratch.weighCandidates()
    var total = 0.0
    for weight in scratch.weights { total += Double(weight) }
    cut(&scratch, atWeight: share * total)
  }

  /// Fills `scratch.candidates` with the nucleus of all tokens, best first.
  ///
  /// Only tokens that can be in it are sorted: first those with a probability of at least (1-p)/256, then, while their
  /// sum falls short, 16 times less likely ones. Tokens below (1-p)/vocabulary sum to less than 1-p, so it ends there.
  /// - Parameter maximum: The largest logit.
  package static func select(
    _ share: Double, from logits: Span<Float>, maximum: Float, _ scratch: inout SamplingScratch
  ) {
    let total = VectorMath.sumOfExponentials(logits, minus: maximum)
    let least = (1 - share) / Double(logits.count)
    var floor = (1 - share) / 256
    while true {
      let isLast = floor < least || floor == 0
      // Above `threshold` is at least `floor`; the margin covers the rounding of logarithm and exponentials.
      let threshold = isLast ? -Float.infinity : maximum + Float(logarithm(floor * total)) - 0.01
      scratch.candidates.removeAll(keepingCapacity: true)
      VectorMath.forEach(in: logits, above: threshold) { id, logit in
        scratch.candidates.append(Candidate(id: id, logit: logit))
        return threshold
      }
      if isLast || mass(of: scratch.candidates, minus: maximum) >= share * total {
        CandidateSort.sort(&scratch.candidates, spare: &scratch.spareCandidates)
        scratch.weighCandidates()
        cut(&scratch, atWeight: share * total)
        return
      }
      floor /= 16
    }
  }

  private static func cut(_ scratch: inout SamplingScratch, atWeight limit: Double) {
    var sum = 0.0
    var kept = 0
    for weight in scratch.weights {
      if kept > 0 && sum >= limit { break }
      sum += Double(weight)
      kept += 1
    }
    scratch.candidates.removeLast(scratch.candidates.count - kept)
  }
  private static func mass(of candidates: [Candidate], minus maximum: Float) -> Double {
    var sum = 0.0
    var index = 0
    while index < candidates.count {
      var vector = SIMD16<Float>(repeating: -.infinity)
      for lane in 0..<min(16, candidates.count - index) { vector[lane] = candidates[index + lane].logit }
      sum += Double(VectorMath.exponential(vector - maximum).sum())
      index += 16
    }
    return sum
  }
}
