import Digests
import Synchronization
package import Schemes
package import Tensors
package import WeightSources

/// A source whose tensors are hashed while others read them: proof of all bytes that went into an engine, without a
/// reading of its own.
///
/// Readers take a tensor's rows in order, from the first; several may read the same tensor at different paces.
package final class HashedSource: WeightSource {
  private let base: any WeightSource
  private let tensors = Mutex<[Key: TensorHash]>([:])

  private struct Key: Hashable { let rank: Int, name: String }
  /// One tensor's rows so far.
  private final class TensorHash: Sendable {
    let state = Mutex((hash: SHA256(), next: 0))
  }

  package init(_ base: any WeightSource) { self.base = base }

  package var origin: String { base.origin }
  package func names(rank: Int) -> [String] { base.names(rank: rank) }
  package func description(of name: String, rank: Int) -> TensorDescription? { base.description(of: name, rank: rank) }

  package func scheme(of name: String, rank: Int) -> NumberScheme? { base.scheme(of: name, rank: rank) }

  package func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    try unsafe base.read(name, rank: rank, rows: rows, into: destination)
    guard !rows.isEmpty else { return }
    let tensor = tensors.withLock { tensors in
      if let known = tensors[Key(rank: rank, name: name)] { return known }
      let new = TensorHash()
      tensors[Key(rank: rank, name: name)] = new
      return new
    }
    tensor.state.withLock { state in
      guard rows.contains(state.next) else { return }
      let rowBytes = destination.count / rows.count
      let fresh = (state.next - rows.lowerBound) * rowBytes
      unsafe state.hash.update(UnsafeRawBufferPointer(rebasing: destination[fresh...]))
      state.next = rows.upperBound
    }
  }

  /// SHA-256 of the lines `<rank> <name> <type> <shape> <SHA-256 of the rows>` of all tensors that were read, by rank and
  /// name, and how many they are. Nil where a tensor was read in part only. Nothing may be read afterwards.
  package func finish() -> (digest: String, tensorCount: Int)? {
    tensors.withLock { tensors in
      var lines: [(key: Key, line: String)] = []
      for (key, tensor) in tensors {
        guard let description = base.description(of: key.name, rank: key.rank) else { return nil }
        let (next, digest) = tensor.state.withLock { ($0.next, $0.next == description.rowCount ? $0.hash.finalize().hexadecimal : "") }
        guard next == description.rowCount else { return nil }
        let shape = description.shape.map(String.init).joined(separator: "x")
        lines.append((key, "\(key.rank) \(key.name) \(description.elementType.rawValue) \(shape) \(digest)\n"))
      }
      lines.sort { ($0.key.rank, $0.key.name) < ($1.key.rank, $1.key.name) }
      var hash = SHA256()
      for (_, line) in lines { hash.update(Array(line.utf8)) }
      return (hash.finalize().hexadecimal, lines.count)
    }
  }
}
