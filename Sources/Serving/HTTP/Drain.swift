import Logging
import ServiceLifecycle
import Synchronization

/// Stands between the signal to stop and the end of the HTTP server: new requests are refused, running ones may end
/// within a time limit, and what is left after that is ended.
final class Drain: Service {
  /// Held while a request is answered.
  final class Place: Sendable {
    private let drain: Drain
    fileprivate init(_ drain: Drain) { self.drain = drain }
    deinit { drain.leave() }
  }
  private struct State {
    var inFlight = 0
    var isDraining = false
  }
  private let state = Mutex(State())
  private let empty = Latch()
  /// Opens when running requests must end.
  let expired = Latch()
  private let timeLimit: Duration
  private let logger: Logger

  init(timeLimit: Duration, logger: Logger) {
    self.timeLimit = timeLimit
    self.logger = logger
  }

  var isDraining: Bool { state.withLock { $0.isDraining } }
  var inFlight: Int { state.withLock { $0.inFlight } }

  func enter() -> Place {
    state.withLock { $0.inFlight += 1 }
    return Place(self)
  }

  private func leave() {
    let isLast = state.withLock { state in
      state.inFlight -= 1
      return state.isDraining && state.inFlight == 0
    }
    if isLast { empty.open() }
  }

  /// Lives until the server is stopped and has nothing left to answer, or the time limit is over.
  func run() async throws {
    try? await gracefulShutdown()
    let inFlight = state.withLock { state in
      state.isDraining = true
      return state.inFlight
    }
    if inFlight == 0 { empty.open() }
    logger.info("stopping: no new requests are taken", metadata: ["requests_in_flight": "\(inFlight)"])
    await withTaskGroup(of: Bool.self) { group in
      group.addTask {
        await self.empty.wait()
        return true
      }
      group.addTask {
        try? await Task.sleep(for: self.timeLimit)
        return false
      }
      let isEmpty = await group.next() ?? true
      group.cancelAll()
      if isEmpty { return }
      logger.warning(
        "the time to stop is over; ending what still runs", metadata: ["requests_in_flight": "\(self.inFlight)"])
      expired.open()
    }
  }
}
