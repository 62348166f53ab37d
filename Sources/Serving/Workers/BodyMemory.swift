import Synchronization

/// Memory for request bodies, over all connections. Small bodies are not counted, so that large ones cannot keep them out.
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
          guard taken + wanted - held <= memory.limit else { return false }
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
  private let taken = Mutex(0)

  package init(limit: Int) { self.limit = limit }

  package var used: Int { taken.withLock { $0 } }
  package func share() -> Share { Share(self) }
}
