import Hummingbird
import JSON
import NIOCore
import Tokenizers

extension ServingCore {
  /// Bodies up to this are small jobs: what can be made of them takes milliseconds.
  private static let smallBody = 64 << 10

  /// Reads a request's body, and makes something of it on the server's own threads.
  func read<R: Sendable>(
    _ request: Request, _ context: ServingContext, limit: Int? = nil,
    _ make: @escaping @Sendable (JSONObject, WorkBudget) throws -> R
  ) async throws -> R {
    _ = await context.clientGone()  // asked for while it is there for certain
    let body = try await request.allBytes(limit: limit ?? options.maximumBodyBytes, memory: bodyMemory)
    return try await work(context, body.bytes.count <= Self.smallBody ? .small : .large) { budget in
      try make(try body.object(), budget)
    }
  }

  /// Runs `body` on the server's own threads, until the client leaves or the server stops.
  func work<R: Sendable>(
    _ context: ServingContext, _ size: RequestWorkers.Size, isBounded: Bool = true,
    _ body: @escaping @Sendable (WorkBudget) throws -> R
  ) async throws -> R {
    let client = context.channel.remoteAddress?.ipAddress ?? ""
    return try await untilInterrupted(context) {
      do { return try await workers.run(for: client, size, isBounded: isBounded, body) } catch let error
        as WorkBudget.Exceeded
      {
        if error == .cancelled { throw CancellationError() }
        throw APIError.tooCostly(error)
      }
    }
  }

  /// Runs until done, the client leaves or the server stops, whichever is first.
  func untilInterrupted<R: Sendable>(
    _ context: ServingContext, _ body: @escaping @Sendable () async throws -> R
  ) async throws -> R {
    let interruptions = await interruptions(context)
    return try await withThrowingTaskGroup(of: R.self) { group in
      defer { group.cancelAll() }
      group.addTask { try await body() }
      for interruption in interruptions { group.addTask { throw await interruption() } }
      guard let first = try await group.next() else { throw CancellationError() }
      return first
    }
  }

  /// A reply as text, written on the server's own threads where it is long.
  ///
  /// - Parameter entries: Roughly, tokens and alternatives that it shows.
  func reply<R: Sendable>(
    _ context: ServingContext, entries: Int, _ make: @escaping @Sendable () -> R
  ) async throws -> R {
    guard entries > Self.shortReply else { return make() }
    return try await work(context, .large, isBounded: false) { _ in make() }
  }
  /// About a millisecond's worth.
  private static let shortReply = 512
}
