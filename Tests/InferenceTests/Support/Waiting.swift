import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Blocks this thread, as a slow executor does.
func pause(milliseconds: Int) { usleep(UInt32(milliseconds) * 1000) }

/// Holds a thread until it is opened, so that a test can act at a known moment.
final class Gate: Sendable {
  private let opened = Atomic(false)
  private let awaited = Atomic(false)
  /// Returns when a thread is held.
  func reached() async throws { try await until { awaited.load(ordering: .acquiring) } }
  func open() { opened.store(true, ordering: .releasing) }
  func wait() {
    awaited.store(true, ordering: .releasing)
    while !opened.load(ordering: .acquiring) { usleep(200) }
  }
}

/// A flag that threads share.
final class Flag: Sendable {
  private let value = Atomic(false)
  var isSet: Bool { value.load(ordering: .sequentiallyConsistent) }
  func set(_ new: Bool) { value.store(new, ordering: .sequentiallyConsistent) }
}

/// Returns when the condition holds. A test's time limit ends it otherwise.
func until(_ condition: () -> Bool) async throws {
  while !condition() { try await Task.sleep(for: .milliseconds(1)) }
}
