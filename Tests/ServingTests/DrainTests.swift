import Foundation
import JSON
import Logging
import Serving
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(8))) struct DrainTests {
  static let body: JSONValue = ["model": "tiny", "prompt": "Say", "stream": true]

  func engine(tokens: Int, delay: Duration) -> ScriptedEngine {
    ScriptedEngine { _ in
      var script = ScriptedEngine.Script(String(repeating: "x", count: tokens))
      script.delay = delay
      return script
    }
  }

  @Test func `told to stop, the server ends running answers and refuses new requests`() async throws {
    let engine = engine(tokens: 100, delay: .milliseconds(20))
    let log = CapturedLog()
    try await withLiveServer(engine, logger: log.logger) { server in
      try await server.connect { connection in
        try await connection.post("/v1/completions", Self.body)
        #expect(await connection.read { $0.contains("\"text\":\"x\"") })
        await server.stop()
        // The signal takes a moment to arrive.
        let refusal = try await server.connect { second in
          repeat {
            second.forget()
            try await second.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
          } while await second.read { $0.contains("HTTP/1.1 200") && $0.hasSuffix("\r\n\r\n") || $0.contains("shutting_down") }
            && second.received.hasPrefix("HTTP/1.1 200")
          return second.received
        }
        #expect(refusal.hasPrefix("HTTP/1.1 503 "))
        #expect(refusal.contains("shutting_down"))
        #expect(refusal.lowercased().contains("retry-after: 5"))
        #expect(await connection.read { $0.contains("data: [DONE]") })
        #expect(connection.received.contains("\"finish_reason\":\"stop\""))
      }
    }
    #expect(engine.cancelled == 0)
    #expect(engine.delivered == 100)
    #expect(log.lines("request").contains { $0["path"] == "/health" && $0["status"] == "503" })
    #expect(log.lines("request failed").isEmpty, "a poll of a stopping server is no failure")
  }

  @Test func `an answer that does not end in time is told why`() async throws {
    // Half an hour's worth: only giving up can end it.
    let engine = engine(tokens: 90_000, delay: .milliseconds(20))
    try await withLiveServer(engine, options: testOptions { $0.drainTimeLimit = .milliseconds(300) }) { server in
      try await server.connect { connection in
        try await connection.post("/v1/completions", Self.body)
        #expect(await connection.read { $0.contains("\"text\":\"x\"") })
        await server.stop()
        await connection.read()
        #expect(connection.received.contains("\"code\":\"shutting_down\""))
        #expect(connection.received.contains("not done within the 0.3 s"))
        #expect(connection.received.contains("data: [DONE]"))
      }
    }
    #expect(engine.delivered < 90_000)
    try await eventually("the answer goes on") { engine.running == 0 }
  }

  /// Waiting for the open connection would take an hour.
  @Test(.timeLimit(.minutes(5))) func `an idle server stops at once, open connections or not`() async throws {
    try await withLiveServer(options: testOptions { $0.drainTimeLimit = .seconds(3600) }) { server in
      try await server.connect { connection in
        try await connection.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(await connection.read { $0.hasSuffix("\r\n\r\n") })
        await server.stop()
        await connection.read()
      }
    }
  }

  @Test func `a port in use is named, with the way out`() async throws {
    try await withLiveServer { server in
      let error = await #expect(throws: ServeError.self) {
        try await Server(engine: ScriptedEngine(), options: testOptions { $0.port = server.port }, logger: quietLogger())
          .run()
      }
      #expect(error?.problem == .portInUse)
      #expect(error?.description.contains("port \(server.port)") == true)
      #expect(error?.description.contains("--port") == true)
      await #expect(throws: ServeError(host: "localhost", port: server.port, problem: .portInUse)) {
        try await ListeningAddress.check(host: "localhost", port: server.port)
      }
    }
  }

  @Test("an address that is not this machine's is named", arguments: ["203.0.113.7", "no-such-host.invalid"])
  func address(host: String) async throws {
    let error = await #expect(throws: ServeError.self) { try await ListeningAddress.check(host: host, port: 0) }
    #expect(error?.problem == .noSuchAddress)
    #expect(error?.description.contains("--host") == true)
  }

  @Test func `TLS files that cannot be read are named`() async throws {
    let options = testOptions { $0.certificates = CertificateFiles(certificateChain: "/nowhere.pem", privateKey: "/k.pem") }
    let error = await #expect(throws: ServeError.self) {
      try await Server(engine: ScriptedEngine(), options: options, logger: quietLogger()).run()
    }
    #expect(error?.description.contains("/nowhere.pem") == true)
  }

  @Test func `one line in the log for each request, saying what became of it`() async throws {
    let log = CapturedLog()
    let engine = engine(tokens: 900, delay: .milliseconds(2))
    try await withLiveServer(engine, logger: log.logger) { server in
      try await server.connect { connection in
        try await connection.send("GET /nowhere HTTP/1.1\r\nHost: x\r\nx-request-id: first\r\n\r\n")
        #expect(await connection.read { $0.contains("not_found") })
        try await connection.post("/v1/completions", ["model": "tiny", "prompt": "Say", "max_tokens": 2])
        #expect(await connection.read { $0.contains("usage") })
        try await connection.post("/v1/completions", Self.body)
        #expect(await connection.read { $0.contains("\"text\":\"x\"") })
        #expect(await connection.read { $0.components(separatedBy: "\"text\":\"x\"").count > 3 })
        try await connection.channel.close().get()
      }
      try await eventually("the third request has no line") { log.lines("request").count == 3 }
    }
    let lines = log.lines("request")
    #expect(lines.count == 3)
    #expect(lines.map { $0["status"] } == ["404", "200", "499"])
    #expect(lines.first?["request_id"] == "first")
    #expect(lines.dropFirst().first?["completion_tokens"] == "2")
    #expect(lines.dropFirst().first?["finish"] == "length")
    #expect(lines.dropFirst().first?["weights"] == "weights-1")
    #expect(lines.last?["stream"] == "true")
    #expect((lines.last?["completion_tokens"].flatMap { Int($0) } ?? 0) >= 3, "tokens of an answer that was cut off count")
    #expect(lines.allSatisfy { $0["method"] != nil && $0["path"] != nil && $0["milliseconds"] != nil && $0["client"] == "127.0.0.1" })
  }
}

/// Keeps what is logged.
final class CapturedLog: Sendable {
  private struct Line: Sendable {
    var message: String
    var metadata: [String: String]
  }
  private let kept = Mutex<[Line]>([])

  func lines(_ message: String) -> [[String: String]] { kept.withLock { $0.filter { $0.message == message }.map(\.metadata) } }

  var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

  private struct Handler: LogHandler {
    let log: CapturedLog
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }
    func log(event: LogEvent) {
      let all = metadata.merging(event.metadata ?? [:]) { $1 }.mapValues { "\($0)" }
      log.kept.withLock { $0.append(Line(message: event.message.description, metadata: all)) }
    }
  }
}
