import JSON
import Serving
import Testing

/// What RFC 9110 and 9112 ask of a server, over real sockets.
@Suite(.timeLimit(.minutes(4))) struct RequestRulesTests {
  private static let host = "Host: x\r\n"

  /// All that comes back, to the end of the connection or as far as `condition`.
  private func exchange(
    _ text: String, engine: any CompletionEngine = ScriptedEngine(), until condition: @escaping @Sendable (String) -> Bool = { _ in false }
  ) async throws -> String {
    try await withLiveServer(engine) { server in
      try await server.connect { connection in
        try? await connection.send(text)
        await connection.read(until: condition)
        return connection.received
      }
    }
  }
  private func head(_ reply: String) -> String { reply.components(before: "\r\n\r\n").lowercased() }

  @Test func `a target of more than 8 KiB is a 414 and the end, one of 8 KiB is looked up`() async throws {
    let path = "/" + String(repeating: "a", count: 8191)
    for (target, status) in [(path + "a", 414), ("/health?" + path, 414), ("http://x" + path, 414), (path, 404)] {
      let reply = try await exchange("GET \(target) HTTP/1.1\r\n\(Self.host)Connection: close\r\n\r\n")
      #expect(reply.hasPrefix("HTTP/1.1 \(status) "), "\(reply.prefix(100))")
      if status == 414 { #expect(reply.contains("\"code\":\"target_too_long\"") && reply.contains("x-request-id: req_") && reply.utf8.count < 1000, "\(reply)") }
    }
    let reply = try await exchange("HEAD \(path)a HTTP/1.1\r\n\(Self.host)\r\n")
    #expect(reply.hasPrefix("HTTP/1.1 414 ") && reply.hasSuffix("\r\n\r\n"), "\(reply)")
  }

  @Test(
    "a connection ends after the answer where its client says so, however it is written",
    arguments: [
      "Connection: Close", "Connection: TE, close", "connection: keep-alive, CLOSE", "Connection: keep-alive\r\nConnection: close", "Connection:\tclose\t,,x",
    ])
  func closes(field: String) async throws {
    let reply = try await exchange("GET /version HTTP/1.1\r\n\(Self.host)\(field)\r\n\r\nGET /version HTTP/1.1\r\n\(Self.host)\r\n")
    #expect(reply.split(separator: "1.2.3", omittingEmptySubsequences: false).count == 2 && head(reply).contains("connection: close"), "\(reply)")
  }

  @Test(
    "a request names its host once",
    arguments: [
      ("", 400), ("Host: a\r\nHost: a\r\n", 400), ("Host: a, b\r\n", 400), ("Host: a b\r\n", 400), ("Host: a/b\r\n", 400), ("Host: u@a\r\n", 400),
      ("Host:\r\n", 200), ("Host: [::1]:8000\r\n", 200), ("Host: a.b:1\r\n", 200),
    ])
  func hosts(fields: String, status: Int) async throws {
    let reply = try await exchange("GET /health HTTP/1.1\r\n\(fields)Connection: close\r\n\r\n")
    #expect(reply.hasPrefix("HTTP/1.1 \(status) "), "\(reply)")
    if status == 400 { #expect(reply.contains("Host") && head(reply).contains("connection: close")) }
    let old = try await exchange("GET /health HTTP/1.0\r\n\(fields)\r\n")
    #expect(old.hasPrefix("HTTP/1.0 \(fields.isEmpty ? 200 : status) "), "\(old)")
  }

  @Test func `an HTTP 1_0 client gets no chunks, no 100, and the end of the connection unless it asked for more`() async throws {
    func post(_ body: String, _ fields: String = "") -> String {
      "POST /v1/completions HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)"
    }
    let body = "{\"model\":\"tiny\",\"prompt\":\"a\",\"max_tokens\":3}"
    let stream = "{\"model\":\"tiny\",\"prompt\":\"a\",\"max_tokens\":3,\"stream\":true}"
    let whole = try await exchange(post(body, "Expect: 100-continue\r\n"))
    #expect(whole.hasPrefix("HTTP/1.0 200 ") && head(whole).contains("connection: close"), "\(whole)")
    for fields in ["", "Connection: keep-alive\r\n"] {
      let events = try await exchange(post(stream, fields))
      #expect(events.hasPrefix("HTTP/1.0 200 ") && !head(events).contains("transfer-encoding") && head(events).contains("connection: close"), "\(events)")
      #expect(events.contains("\r\n\r\ndata: {") && events.hasSuffix("data: [DONE]\n\n"), "\(events)")
    }
    let kept = try await exchange(post(body, "Connection: Keep-Alive\r\n") + "GET /version HTTP/1.0\r\n\r\n")
    #expect(head(kept).contains("connection: keep-alive") && kept.hasSuffix("{\"version\":\"1.2.3\"}"), "\(kept)")
  }

  @Test(
    "what asks for another protocol is answered in this one, and then the connection ends",
    arguments: [
      "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", "Upgrade: websocket\r\nConnection: upgrade\r\n",
    ])
  func upgrades(fields: String) async throws {
    let reply = try await exchange("GET /version HTTP/1.1\r\n\(Self.host)\(fields)\r\n")
    #expect(reply.hasPrefix("HTTP/1.1 200 ") && head(reply).contains("connection: close") && reply.hasSuffix("{\"version\":\"1.2.3\"}"), "\(reply)")
  }

  @Test func `CONNECT and transfer codings but chunked are not implemented`() async throws {
    let connect = try await exchange("CONNECT x:443 HTTP/1.1\r\n\(Self.host)\r\n")
    #expect(connect.hasPrefix("HTTP/1.1 501 ") && connect.contains("CONNECT"), "\(connect)")
    let coded = try await exchange(
      "POST /v1/completions HTTP/1.1\r\n\(Self.host)Content-Type: application/json\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n")
    #expect(coded.hasPrefix("HTTP/1.1 501 ") && coded.contains("chunked"), "\(coded)")
  }

  @Test("a reply to HEAD has no body, whatever its status", arguments: ["/version", "/nowhere", "/v1/completions", "/v1/models/x"])
  func headers(path: String) async throws {
    let reply = try await exchange("HEAD \(path) HTTP/1.1\r\n\(Self.host)\r\nGET /version HTTP/1.1\r\n\(Self.host)Connection: close\r\n\r\n")
    let second = reply.components(after: "\r\n\r\n")
    #expect(second.hasPrefix("HTTP/1.1 200 ") && second.hasSuffix("{\"version\":\"1.2.3\"}"), "\(reply)")
  }

  @Test func `a length that no number holds is refused at once, and nobody is told to send that much`() async throws {
    for length in ["9223372036854775808", "18446744073709551615", "9000000"] {
      let reply = try await exchange(
        "POST /v1/completions HTTP/1.1\r\n\(Self.host)Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: \(length)\r\n\r\n")
      #expect(reply.hasPrefix("HTTP/1.1 413 "), "\(reply)")
    }
  }

  @Test func `what is no HTTP is said so behind the answers to what came before it`() async throws {
    let reply = try await exchange("GET /version HTTP/1.1\r\n\(Self.host)\r\nGET /version HTTP/1.1\r\n\(Self.host)\r\nGARBAGE\r\n\r\n")
    #expect(reply.contains("1.2.3\"}HTTP/1.1 200 ") && reply.contains("1.2.3\"}HTTP/1.1 400 ") && reply.contains("This is no HTTP/1.1 request"), "\(reply)")
  }

  @Test func `requests that come at once are answered in order, also when nothing more will come`() async throws {
    let texts: [String] = (0..<300).map { "GET /v1/models/m\($0) HTTP/1.1\r\n\(Self.host)\r\n" }
    try await withLiveServer { server in
      try await server.connect { connection in
        try await connection.send(texts.joined())
        connection.finishSending()
        await connection.read()
        let names = connection.received.matches(of: /The model 'm(\d+)'/).map { Int($0.output.1) }
        #expect(names == Array(0..<300), "\(names.count)")
      }
    }
  }

  @Test("a client that vanishes ends its answer, whatever else it had sent", arguments: [true, false])
  func vanishes(resets: Bool) async throws {
    let engine = LiveConnectionTests().slowEngine(tokens: 1000, delay: .seconds(1))
    try await withLiveServer(engine) { server in
      try await server.connect { connection in
        try await connection.post("/v1/completions", .object(LiveConnectionTests.endless))
        try await connection.send(String(repeating: "GET /health HTTP/1.1\r\n\(Self.host)\r\n", count: resets ? 20_000 : 100))
        try await eventually("the answer does not start") { engine.running == 1 }
        if resets {
          try await connection.channel.close().get()
        } else {
          connection.finishSending()
        }
        let start = ContinuousClock.now
        try await eventually("the answer goes on for nobody") { engine.running == 0 }
        #expect(ContinuousClock.now - start < .seconds(5))
      }
    }
  }
}

extension String {
  fileprivate func components(before mark: String) -> String { range(of: mark).map { String(self[..<$0.lowerBound]) } ?? self }
  fileprivate func components(after mark: String) -> String { range(of: mark).map { String(self[$0.upperBound...]) } ?? "" }
  private func range(of mark: String) -> Range<Index>? { firstRange(of: mark) }
}
