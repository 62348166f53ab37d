import OrderedCollections
import Synchronization

/// Digests as worker threads finish them, in any order.
final class DigestTable: Sendable {
  private let tables: Mutex<[[String: String]]>

  init(rankCount: Int) { tables = Mutex(Array(repeating: [:], count: rankCount)) }

  func set(rank: Int, name: String, _ digest: String) {
    tables.withLock { $0[rank][name] = digest }
  }

  func ordered(rank: Int, _ names: some Sequence<String>) -> OrderedDictionary<String, String> {
    let table = tables.withLock { $0[rank] }
    var result: OrderedDictionary<String, String> = [:]
    for name in names { result[name] = table[name] }
    return result
  }
}
