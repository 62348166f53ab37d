import Synchronization

/// Weights as worker threads finish them, in any order.
final class MadeTable: Sendable {
  private let state: Mutex<(ranks: [[String: WeightMemory]], unchanged: Int)>

  init(rankCount: Int) { state = Mutex((Array(repeating: [:], count: rankCount), 0)) }

  func set(rank: Int, name: String, _ memory: WeightMemory) { state.withLock { $0.ranks[rank][name] = memory } }
  func countUnchanged() { state.withLock { $0.unchanged += 1 } }

  var ranks: [[String: WeightMemory]] { state.withLock { $0.ranks } }
  var unchanged: Int { state.withLock { $0.unchanged } }
}
