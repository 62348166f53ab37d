import Synchronization

/// Weights as worker threads finish them, in any order.
final class MadeTable: Sendable {
  private let state: Mutex<(ranks: [[String: WeightMemory]], unchanged: Int)>

  /// - Parameter base: For each rank, what stands where nothing is made.
  init(_ base: [[String: WeightMemory]]) { state = Mutex((base, 0)) }

  func set(rank: Int, name: String, _ memory: WeightMemory) { state.withLock { $0.ranks[rank][name] = memory } }
  /// The weight came out as the engine file has it.
  func countUnchanged(rank: Int, name: String) {
    state.withLock {
      $0.ranks[rank][name] = nil
      $0.unchanged += 1
    }
  }

  var ranks: [[String: WeightMemory]] { state.withLock { $0.ranks } }
  var unchanged: Int { state.withLock { $0.unchanged } }
}
