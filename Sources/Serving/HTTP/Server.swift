package import Hummingbird
import HummingbirdCore
public import Logging
import NIOCore
import NIOPosix
public import ServiceLifecycle
import UnixSignals

/// An OpenAI-compatible HTTP server in front of one engine.
///
/// When it is stopped, it refuses new requests with 503, gives running answers ``ServerOptions/drainTimeLimit`` to end, and
/// then ends what is left with an error that says so.
public struct Server: Service {
  private let core: ServingCore
  private let logger: Logger
  private let onListening: @Sendable (Int) async -> Void

  /// - Parameter onListening: Called with the port once connections are accepted.
  public init(
    engine: any CompletionEngine, options: ServerOptions, logger: Logger,
    onListening: @escaping @Sendable (Int) async -> Void = { _ in }
  ) {
    core = ServingCore(engine: engine, options: options, logger: logger)
    self.logger = logger
    self.onListening = onListening
  }

  /// Serves until the process gets SIGTERM or SIGINT.
  ///
  /// - Parameter onSecondSignal: Called with the number of a signal that comes while running answers may still end, as from
  ///   somebody who does not want to wait for them.
  /// - Throws: ``ServeError``, or what made the server end early.
  public func runUntilSignal(onSecondSignal: @escaping @Sendable (Int32) -> Void) async throws {
    let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
    let group = ServiceGroup(services: [self], logger: logger)
    let watch = Task { [logger, core] in
      var isStopping = false
      for await signal in signals {
        if isStopping { onSecondSignal(signal.rawValue) }
        isStopping = true
        let seconds = core.options.drainTimeLimit.components.seconds
        logger.info("\(signal): running answers have \(seconds) s to end; a second SIGINT (Ctrl-C) or SIGTERM ends the server at once")
        await group.triggerGracefulShutdown()
      }
    }
    defer { watch.cancel() }
    try await group.run()
  }

  /// Serves until a graceful shutdown.
  ///
  /// - Throws: ``ServeError``, or what made the server end early.
  public func run() async throws {
    // Shutdown goes through the list backwards: the drain first, so that connections stay open for the answers.
    var configuration = ServiceGroupConfiguration(
      services: [.init(service: try application()), .init(service: core.drain)], logger: logger)
    configuration.maximumGracefulShutdownDuration = core.options.drainTimeLimit + .seconds(5)
    do {
      try await ServiceGroup(configuration: configuration).run()
    } catch {
      throw ServeError(error, host: core.options.host, port: core.options.port) ?? error
    }
  }

  /// The HTTP part alone, with no drain in front; for tests.
  package func application() throws -> some ApplicationProtocol {
    let options = core.options
    let limits = ConnectionGuard.Limits(
      header: options.headerTimeLimit, body: options.bodyTimeLimit, writeStall: options.writeStallLimit, largestBody: options.maximumBodyBytes)
    let inputRate = InputRate(bytesPerSecond: options.maximumInputRate, largestBody: options.maximumBodyBytes)
    // At this level the framework says no more than that it listens, which ``onListening`` says better.
    var quiet = logger
    if quiet.logLevel == .info { quiet.logLevel = .notice }
    var server = HTTPServerBuilder.http1(
      configuration: .init(
        additionalChannelHandlers: [ConnectionGuard(limits: limits, inputRate: inputRate)], idleTimeout: TimeAmount(options.idleTimeLimit)))
    if let files = options.certificates {
      server = try server.encrypted(by: files)
    }
    return Application(
      router: core.makeRouter(), server: server,
      configuration: ApplicationConfiguration(
        address: .hostname(ListeningAddress.resolve(options.host), port: options.port), serverName: "drydock",
        backlog: 4096,
        availableConnectionsDelegate: MaximumAvailableConnections(
          DescriptorLimit.connections(wanted: options.maximumConnections))),
      onServerRunning: { [onListening] channel in
        await onListening(channel.localAddress?.port ?? options.port)
      },
      logger: quiet)
  }
}

/// Services are named in logs, by whatever runs them: not with everything that is in them.
extension Server: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "Server(\(core.options.host):\(core.options.port))" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}

/// Where to listen.
public enum ListeningAddress {
  /// `localhost` may mean ::1 or 127.0.0.1, and a server that listens on one is not found on the other; most clients
  /// try the second, so that is what it means here.
  static func resolve(_ host: String) -> String { host == "localhost" ? "127.0.0.1" : host }

  /// Listens for a moment, so that a port in use is found before a model is loaded.
  public static func check(host: String, port: Int) async throws(ServeError) {
    do {
      let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .bind(host: resolve(host), port: port).get()
      try await channel.close()
    } catch {
      throw ServeError(error, host: host, port: port)
        ?? ServeError(host: host, port: port, problem: .cannotListen("\(error)"))
    }
  }
}
