/// Draws a token by its weight.
package enum Draw {
  /// - Parameter uniform: In 0..<1.
  package static func fromCandidates(_ scratch: inout SamplingScratch, uniform: Double) -> Int32? {
    scratch.weighCandidates()
    var total = 0.0
    for weight in scratch.weights { total += Double(weight) }
    let target = uniform * total
    var sum = 0.0
    for index in scratch.weights.indices {
      sum += Double(scratch.weights[index])
      if sum > target { return scratch.candidates[index].id }
    }
    return scratch.candidates.first?.id
  }

  /// Draws among all tokens; `logits` become weights on the way.
  /// - Parameter maximum: The largest logit.
  package static func fromAll(
    _ logits: inout MutableSpan<Float>, maximum: Float, uniform: Double, _ scratch: inout SamplingScratch
  ) -> Int32? {
    scratch.blockSums.removeAll(keepingCapacity: true)
    VectorMath.exponentiate(&logits, minus: maximum, blockSums: &scratch.blockSums)
    var total = 0.0
    for sum in scratch.blockSums { total += sum }
    let target = uniform * total
    var before = 0.0
    for (block, sum) in scratch.blockSums.enumerated() {
      guard before + sum > target else {
        before += sum
        continue
      }
      let start = block * VectorMath.blockSize
      var lastPossible: Int32?
      for index in start..<min(start + VectorMath.blockSize, logits.count) where logits[index] > 0 {
        before += Double(logits[index])
        lastPossible = Int32(index)
        if before > target { break }
      }
      // The block's sum was taken in another order, so the walk may end a rounding error short: then its last token.
      return lastPossible
    }
    return nil
  }
}
