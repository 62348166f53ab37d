import JSON
import Logging
import NIOCore
import NIOPosix
import Serving
import ServiceLifecycle
import Testing

/// A server on a port of its own.
struct LiveServer: Sendable {
  let port: Int
  private let group: ServiceGroup
  fileprivate init(port: Int, group: ServiceGroup) {
    self.port = port
    self.group = group
  }
  /// Tells the server to stop, as SIGTERM does.
  func stop() async { await group.triggerGracefulShutdown() }

  /// Bytes to the server and back, with no HTTP in between.
  func connect<R: Sendable>(
    _ body: @escaping @Sendable (inout RawConnection) async throws -> R
  ) async throws -> R {
    let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .connect(host: "127.0.0.1", port: port) { channel in
        channel.eventLoop.makeCompletedFuture {
          try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
            wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
      }
    return try await channel.executeThenClose { inbound, outbound in
      var connection = RawConnection(channel: channel.channel, input: inbound.makeAsyncIterator(), output: outbound)
      return try await body(&connection)
    }
  }
}

struct RawConnection {
  let channel: any Channel
  fileprivate var input: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
  fileprivate let output: NIOAsyncChannelOutboundWriter<ByteBuffer>
  /// Everything received so far.
  private(set) var received = ""

  fileprivate init(
    channel: any Channel, input: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator,
    output: NIOAsyncChannelOutboundWriter<ByteBuffer>
  ) {
    self.channel = channel
    self.input = input
    self.output = output
  }

  func send(_ text: String) async throws { try await output.write(ByteBuffer(string: text)) }

  func post(_ path: String, _ body: JSONValue) async throws {
    let text = body.serialized()
    try await send(
      "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)")
  }
  /// Reads until `condition` holds or the server closes; says whether it held.
  @discardableResult
  mutating func read(until condition: (String) -> Bool = { _ in false }) async -> Bool {
    while !condition(received) {
      guard let buffer = try? await input.next() else { return false }
      received += String(buffer: buffer)
    }
    return true
  }
  mutating func forget() { received = "" }
  /// Says that nothing more will be sent.
  func finishSending() { output.finish() }
}

func withLiveServer<R: Sendable>(
  _ engine: any CompletionEngine = ScriptedEngine(), options: ServerOptions = testOptions(), logger: Logger = quietLogger(),
  _ body: @escaping @Sendable (LiveServer) async throws -> R
) async throws -> R {
  let (ports, whenListening) = AsyncStream<Int>.makeStream()
  let server = Server(engine: engine, options: options, logger: logger) { whenListening.yield($0) }
  let group = ServiceGroup(services: [server], logger: logger)
  return try await withThrowingTaskGroup(of: Void.self) { tasks in
    tasks.addTask {
      defer { whenListening.finish() }
      try await group.run()
    }
    var listening = ports.makeAsyncIterator()
    guard let port = await listening.next() else {
      try await tasks.waitForAll()
      throw ScriptedFailure(message: "the server ended before it listened")
    }
    let result: Result<R, any Error>
    do { result = .success(try await body(LiveServer(port: port, group: group))) } catch { result = .failure(error) }
    await group.triggerGracefulShutdown()
    try await tasks.waitForAll()
    return try result.get()
  }
}
