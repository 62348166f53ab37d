/// A token and its logit in one word, so that one integer comparison orders tokens: smaller is better, by logit first,
/// by lower id among equal logits. The order is total, so every selection has one right answer.
package struct Candidate: Sendable, Hashable, Comparable {
  package let key: UInt64

  /// - Parameter logit: Not NaN.
  package init(id: Int, logit: Float) {
    let bits = (logit + 0).bitPattern  // -0 becomes 0
    let ascending = bits & 0x8000_0000 == 0 ? bits | 0x8000_0000 : ~bits
    key = UInt64(~ascending) << 32 | UInt64(UInt32(truncatingIfNeeded: id))
  }
  package var id: Int32 { Int32(truncatingIfNeeded: key) }
  package var logit: Float {
    let ascending = ~UInt32(truncatingIfNeeded: key >> 32)
    return Float(bitPattern: ascending & 0x8000_0000 == 0 ? ~ascending : ascending & 0x7FFF_FFFF)
  }
  package static func < (left: Candidate, right: Candidate) -> Bool { left.key < right.key }
}

/// Buffers that a sampler works in, kept between tokens by the caller. Holds nothing between two calls.
public struct SamplingScratch: Sendable {
  package var candidates: [Candidate] = []
  package var spareCandidates: [Candidate] = []
  package var weights: [Float] = []
  package var blockSums: [Double] = []
  package var rawLogits: [Float] = []

  /// Takes no memory yet; grows to what a vocabulary needs.
  public init() {}

  /// Fills `weights` with `exp(logit - best logit)` of the candidates, which are sorted.
  package mutating func weighCandidates() {
    weights.removeAll(keepingCapacity: true)
    guard let best = candidates.first?.logit else { return }
    for candidate in candidates { weights.append(candidate.logit) }
    var unusedSums: [Double] = []
    var span = weights.mutableSpan
    VectorMath.exponentiate(&span, minus: best, blockSums: &unusedSums)
  }
}
