import HTTPTypes
import Hummingbird
import Logging
import Synchronization

/// Outermost: gives each request its id, counts it as in flight, and writes one line once it is answered.
struct AccessLogMiddleware: RouterMiddleware {
  typealias Context = ServingContext
  let core: ServingCore
  let routes: [Route]

  func handle(
    _ request: Request, context: ServingContext, next: (Request, ServingContext) async throws -> Response
  ) async throws -> Response {
    let id = request.headers[.requestID].flatMap(Self.usable) ?? "req_" + RandomID.hexadecimal()
    context.record.note { $0.requestID = id }
    var context = context
    context.logger = core.logger  // without the framework's own request id, and not as quiet as the framework
    context.logger[metadataKey: "request_id"] = .string(id)
    let entry = AccessLogEntry(core: core, request: request, context: context, countedPath: path(request))
    var response = try await next(request, context)
    response.headers[.requestID] = id
    response.headers.nameIgnored(context.record.current.unknownFields)
    if core.drain.isDraining { response.headers[.connection] = "close" }
    entry.answered(response.status.code)
    guard response.body.contentLength == nil else {
      entry.write()
      return response
    }
    // A stream ends when its body has been written, or can no longer be.
    let body = response.body
    response.body = ResponseBody { writer in
      defer { entry.write() }
      try await body.write(writer)
    }
    return response
  }

  /// The path as metrics count it.
  private func path(_ request: Request) -> String {
    let path = request.uri.path
    return routes.first { $0.matches(path) }?.path ?? "other"
  }

  /// A client's own id, where it is short and printable: it goes into headers and logs.
  private static func usable(_ id: String) -> String? {
    !id.isEmpty && id.utf8.count <= 128 && id.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } ? id : nil
  }
}

/// One request on its way to its line in the log.
private final class AccessLogEntry: Sendable {
  private let core: ServingCore
  private let method: String
  private let path: String
  private let countedPath: String
  private let client: String?
  private let record: RequestRecord
  private let logger: Logger
  private let place: Drain.Place
  private let start = ContinuousClock.now
  private let state = Mutex((status: 0, isWritten: false))

  init(core: ServingCore, request: Request, context: ServingContext, countedPath: String) {
    self.core = core
    self.countedPath = countedPath
    method = request.method.rawValue
    path = request.uri.path
    client = context.channel.remoteAddress?.ipAddress
    record = context.record
    logger = context.logger
    place = core.drain.enter()
  }
  // A body that never got to be written, because its client left, still has its line.
  deinit { write() }

  func answered(_ status: Int) { state.withLock { $0.status = status } }

  func write() {
    let first = state.withLock { state -> Int? in
      if state.isWritten { return nil }
      state.isWritten = true
      return state.status
    }
    guard let sent = first else { return }
    let facts = record.current
    let status = facts.status ?? sent
    let duration = ContinuousClock.now - start
    core.metrics.request(path: countedPath, status: status, duration: duration)
    var metadata: Logger.Metadata = [
      "method": .string(method), "path": .string(path), "status": "\(status)",
      "milliseconds": "\(Int((duration / .milliseconds(1)).rounded()))",
    ]
    if let client { metadata["client"] = .string(client) }
    if facts.streams { metadata["stream"] = "true" }
    if let count = facts.promptTokens { metadata["prompt_tokens"] = "\(count)" }
    if let count = facts.completionTokens { metadata["completion_tokens"] = "\(count)" }
    if !facts.finishReasons.isEmpty { metadata["finish"] = .string(facts.finishReasons.joined(separator: ",")) }
    if let version = facts.weightVersion { metadata["weights"] = .string(version) }
    if let failure = facts.failure { metadata["failure"] = .string(failure) }
    logger.info("request", metadata: metadata)
  }
}
