import HTTPTypes
import Hummingbird
import HummingbirdTesting
import JSON
import Logging
import NIOCore
import Serving
import Testing

/// One exchange with a server that has no socket.
struct Reply {
  let status: Int
  let headers: HTTPFields
  let text: String

  var json: JSONValue { (try? JSONValue(parsing: text)) ?? nil }
  var error: JSONValue { json["error"] ?? nil }
  /// The data of each server-sent event.
  var events: [String] {
    text.split(separator: "\n\n").map { String($0.hasPrefix("data: ") ? $0.dropFirst(6) : $0) }
  }
  /// The events before `[DONE]`, read.
  var chunks: [JSONValue] { events.filter { $0 != "[DONE]" }.map { (try? JSONValue(parsing: $0)) ?? nil } }
}

func quietLogger() -> Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

func testOptions(_ change: (inout ServerOptions) -> Void = { _ in }) -> ServerOptions {
  var options = ServerOptions(modelName: "tiny", version: "1.2.3")
  options.port = 0
  change(&options)
  return options
}

/// As with `--trust_request_chat_template`.
let trusting = testOptions { $0.trustsRequestChatTemplates = true }

/// Sends requests one after another to a server in front of `engine`.
struct Exchange: Sendable {
  let client: any TestClientProtocol

  func send(
    _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, headers: HTTPFields = [:]
  ) async throws -> Reply {
    var headers = headers
    if body != nil, headers[.contentType] == nil { headers[.contentType] = "application/json" }
    let response = try await client.executeRequest(
      uri: path, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) })
    return Reply(status: response.status.code, headers: response.headers, text: String(buffer: response.body))
  }
  /// A POST without a Content-Type.
  func sendUntyped(_ path: String, _ body: String) async throws -> Reply {
    let response = try await client.executeRequest(uri: path, method: .post, headers: [:], body: ByteBuffer(string: body))
    return Reply(status: response.status.code, headers: response.headers, text: String(buffer: response.body))
  }
  func post(_ path: String, _ body: JSONValue) async throws -> Reply { try await send(.post, path, body.serialized()) }
  func get(_ path: String) async throws -> Reply { try await send(.get, path) }
}

func withServer<R>(
  _ engine: any CompletionEngine = ScriptedEngine(), options: ServerOptions = testOptions(), _ setup: TestingSetup = .router,
  logger: Logger = quietLogger(), _ body: @Sendable (Exchange) async throws -> R
) async throws -> R {
  try await Server(engine: engine, options: options, logger: logger).application().test(setup) {
    try await body(Exchange(client: $0))
  }
}

/// Waits until `condition` holds; records an issue if it never does.
func eventually(
  within limit: Duration = .seconds(10), _ what: Comment, at location: SourceLocation = #_sourceLocation,
  _ condition: () -> Bool
) async throws {
  let end = ContinuousClock.now + limit
  while !condition() {
    guard ContinuousClock.now < end else {
      Issue.record(what, sourceLocation: location)
      return
    }
    try await Task.sleep(for: .milliseconds(5))
  }
}
