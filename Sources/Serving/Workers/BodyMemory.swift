import Synchronization

/// Memory for request bodies, over all connections. Small bodies are not counted, so that large ones cannot keep them out, and what
/// goes beyond an eighth of the largest body finds no room in the last quarter, so that the largest ones keep no others out.
package final class BodyMemory: Sendable {
  /// A body's share, given back when it is let go of.
  package final class Share: Sendable {
    private let memory: BodyMemory
    private let bytes = Mutex(0)
    fileprivate init(_ memory: BodyMemory) { self.memory = memory }
    deinit {
      let held = bytes.withLock { $0 }
      if held > 0 { memory.taken.withLock { $0 -= held } }
    }

    /// Makes room for a body of `count` bytes so far; false where there is none.
    package func grow(to count: Int) -> Bool {
      bytes.withLock { held in
        guard count > BodyMemory.uncounted, count > held else { return true }
        // In strides, so that bytes that come one by one do not take the lock one by one.
        let wanted = (count + BodyMemory.stride - 1) / BodyMemory.stride * BodyMemory.stride
        let fits = memory.taken.withLock { taken in
          guard taken + wanted - held <= (count <= memory.middle ? memory.limit : memory.limit / 4 * 3) else { return false }
          taken += wanted - held
          return true
        }
        if fits { held = wanted }
        return fits
      }
    }
  }
  package static let uncounted = 64 << 10
  private static let stride = 64 << 10
  package let limit: Int
  /// Bytes of the largest body that may have all the memory.
  private let middle: Int
  private let taken = Mutex(0)

  package init(limit: Int, largestBody: Int) {
    self.limit = limit
    middle = largestBody / 8
  }

  package var used: Int { taken.withLock { $0 } }
  package func share() -> Share { Share(self) }
}
