import Synchronization

/// DoRA on embedding tables: the length of each column over the whole vocabulary, found once however many tiles need it.
final class ColumnLengths: Sendable {
  struct Key: Hashable {
    let table: String
    let columns: Range<Int>
  }
  private let known = Mutex<[Key: [Float]]>([:])

  /// - Parameter squares: Sums of squares. Whoever else needs the same waits for it.
  func lengths(_ key: Key, _ squares: () throws -> [Double]) throws -> [Float] {
    try known.withLock { known in
      if let lengths = known[key] { return lengths }
      let lengths = try squares().map { Float($0.squareRoot()) }
      known[key] = lengths
      return lengths
    }
  }
}
