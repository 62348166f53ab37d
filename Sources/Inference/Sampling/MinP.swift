/// Drops tokens whose probability is below a share of the most likely one's (arXiv:2407.01082).
package enum MinP {
  /// Cuts sorted candidates.
  package static func cut(_ candidates: inout [Candidate], to share: Double) {
    guard let best = candidates.first?.logit else { return }
    let least = best + Float(logarithm(share))
    while let last = candidates.last, last.logit < least { candidates.removeLast() }
  }

  /// Fills `scratch.candidates` with the tokens that stay, best first.
  /// - Parameter maximum: The largest logit.
  package static func select(
    _ share: Double, from logits: Span<Float>, maximum: Float, _ scratch: inout SamplingScratch
  ) {
    scratch.candidates.removeAll(keepingCapacity: true)
    let least = maximum + Float(logarithm(share))
    VectorMath.forEach(in: logits, above: least.nextDown) { id, logit in
      scratch.candidates.append(Candidate(id: id, logit: logit))
      return least.nextDown
    }
    CandidateSort.sort(&scratch.candidates, spare: &scratch.spareCandidates)
  }
}
