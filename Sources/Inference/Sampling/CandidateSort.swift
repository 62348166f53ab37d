/// Sorts candidates best first.
///
/// A flat distribution leaves tens of thousands of them, for which comparing takes longer than a small model's step.
/// Those are sorted digit by digit instead: three stable passes over the 32 bits that hold the logit.
package enum CandidateSort {
  private static let digitBits = 11
  /// From here on digits are faster than comparisons.
  private static let least = 1000

  /// - Parameters:
  ///   - candidates: In order of token id, which stays the order among equal logits.
  ///   - spare: Memory to work in; its content is lost.
  package static func sort(_ candidates: inout [Candidate], spare: inout [Candidate]) {
    guard candidates.count >= least, let any = candidates.first else { return candidates.sort() }
    spare.removeAll(keepingCapacity: true)
    spare.append(contentsOf: repeatElement(any, count: candidates.count))
    for shift in stride(from: 32 as UInt64, to: 64, by: digitBits) {
      func digit(_ candidate: Candidate) -> Int { Int(candidate.key >> shift) & (1 << digitBits - 1) }
      var starts = [Int](repeating: 0, count: 1 << digitBits)
      for candidate in candidates { starts[digit(candidate)] += 1 }
      var sum = 0
      for index in starts.indices { (starts[index], sum) = (sum, sum + starts[index]) }
      for candidate in candidates {
        let digit = digit(candidate)
        spare[starts[digit]] = candidate
        starts[digit] += 1
      }
      swap(&candidates, &spare)
    }
  }
}
