import Synchronization

/// Whether something has been closed, asked and answered in one step.
final class CloseState: Sendable {
  private let closed = Atomic(false)
  /// True for the first caller only.
  func close() -> Bool { !closed.exchange(true, ordering: .acquiringAndReleasing) }
}
