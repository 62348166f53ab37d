/// Keeps the k most likely tokens.
package enum TopK {
  /// Fills `candidates` with the `count` best tokens above `-inf`, best first.
  ///
  /// A heap of the best so far, its worst on top; whole vectors of logits that do not beat it are skipped.
  /// - Complexity: O(vocabulary) when few tokens enter the heap, O(vocabulary · log count) at worst.
  package static func select(_ count: Int, from logits: Span<Float>, into candidates: inout [Candidate]) {
    candidates.removeAll(keepingCapacity: true)
    guard count > 0 else { return }
    VectorMath.forEach(in: logits, above: -.infinity) { id, logit in
      let candidate = Candidate(id: id, logit: logit)
      if candidates.count < count {
        candidates.append(candidate)
        siftUp(&candidates)
      } else {
        // An equal logit later in the vocabulary is worse, so only a larger one comes here.
        candidates[0] = candidate
        siftDown(&candidates)
      }
      return candidates.count < count ? -.infinity : candidates[0].logit
    }
    candidates.sort()
  }

  private static func siftUp(_ heap: inout [Candidate]) {
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[parent] < heap[child] else { return }
      heap.swapAt(parent, child)
      child = parent
    }
  }
  private static func siftDown(_ heap: inout [Candidate]) {
    var parent = 0
    while true {
      var worst = parent
      for child in 2 * parent + 1...2 * parent + 2 where child < heap.count && heap[worst] < heap[child] {
        worst = child
      }
      guard worst != parent else { return }
      heap.swapAt(parent, worst)
      parent = worst
    }
  }
}
