import JSON
import NIOCore
import Serving
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// What real sockets do to the server.
@Suite(.timeLimit(.minutes(8))) struct LiveConnectionTests {
  static let endless: JSONObject = ["model": "tiny", "prompt": "Say", "stream": true]
  static let quick: JSONValue = ["model": "tiny", "prompt": "Say", "max_tokens": 3]

  /// An engine whose answers last until somebody ends them.
  func slowEngine(tokens: Int = 900, delay: Duration = .milliseconds(2)) -> ScriptedEngine {
    ScriptedEngine { _ in
      var script = ScriptedEngine.Script(String(repeating: "x", count: tokens))
      script.delay = delay
      return script
    }
  }

  @Test func `several requests use one connection`() async throws {
    try await withLiveServer { server in
      try await server.connect { connection in
        for _ in 0..<3 {
          try await connection.post("/v1/completions", Self.quick)
          #expect(await connection.read { $0.contains("\"finish_reason\":\"length\"") })
          #expect(connection.received.hasPrefix("HTTP/1.1 200 OK\r\n"))
          connection.forget()
        }
        try await connection.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(await connection.read { $0.contains("1.2.3") })
      }
    }
  }

  @Test func `tokens arrive while others are still being made`() async throws {
    let engine = slowEngine()
    try await withLiveServer(engine) { server in
      try await server.connect { connection in
        try await connection.post("/v1/completions", .object(Self.endless))
        #expect(await connection.read { $0.contains("\"text\":\"x\"") })
        #expect(engine.running == 1)
        #expect(engine.delivered < 900)
      }
    }
  }

  @Test("a client that vanishes ends its answer in the engine", arguments: [true, false], [true, false])
  func vanish(streams: Bool, resets: Bool) async throws {
    // So slow that no write tells the server.
    let engine = slowEngine(delay: streams ? .milliseconds(2) : .seconds(1))
    try await withLiveServer(engine) { server in
      try await server.connect { connection in
        var body = Self.endless
        body["stream"] = .bool(streams)
        try await connection.post("/v1/completions", .object(body))
        if streams { #expect(await connection.read { $0.contains("\"text\":\"x\"") }) }
        try await eventually("the answer does not start") { engine.running == 1 }
        if resets {
          let socket = try #require(connection.channel as? any SocketOptionProvider)
          try await socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        }
        try await connection.channel.close().get()
      }
      let start = ContinuousClock.now
      try await eventually("the answer goes on for nobody") { engine.running == 0 }
      #expect(ContinuousClock.now - start < .seconds(5))
      #expect(engine.cancelled == 1)
      #expect(engine.delivered < 900)
      // The server is none the worse for it.
      try await server.connect { connection in
        try await connection.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(await connection.read { $0.hasPrefix("HTTP/1.1 200 OK") })
      }
    }
  }

  @Test func `a client that only stops sending still gets a quick answer`() async throws {
    try await withLiveServer { server in
      try await server.connect { connection in
        try await connection.send("GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.finishSending()
        await connection.read()
        #expect(connection.received.contains("1.2.3"))
      }
    }
  }

  @Test(
    "bytes that are no HTTP are answered with a 400 and the end",
    arguments: [
      "\u{16}\u{3}\u{1}garbage\r\n\r\n", "GET\r\n\r\n", "POST /v1/completions HTTP/9.9\r\n\r\n", "\r\n\r\n\r\nxyz\r\n",
      "GET / HTTP/1.1\r\nbad header\r\n\r\n",
    ])
  func garbage(text: String) async throws {
    try await withLiveServer { server in
      try await server.connect { connection in
        try await connection.send(text)
        await connection.read()
        #expect(connection.received.hasPrefix("HTTP/1.1 400 "), "\(connection.received)")
        #expect(connection.received.contains("\"type\":\"invalid_request_error\""))
      }
    }
  }

  @Test(
    "a header that is too large is a 431",
    arguments: [
      "x: \(String(repeating: "y", count: 200_000))", "x: \(String(repeating: "y", count: 90_000))\r\n\r\n",
      (0..<9000).map { "x\($0): y\r\n" }.joined(),
    ])
  func largeHeader(fields: String) async throws {
    try await withLiveServer { server in
      try await server.connect { connection in
        try? await connection.send("GET / HTTP/1.1\r\n" + fields)
        await connection.read()
        #expect(connection.received.hasPrefix("HTTP/1.1 431 "), "\(connection.received.prefix(200))")
        #expect(connection.received.contains("\"code\":\"header_too_large\""))
      }
    }
  }

  @Test("a body whose chunks are broken is a 400", arguments: ["xyz\r\n", "5\r\n{\"mod", "5\r\n{\"mod\r\nZZ\r\n", "-1\r\n", "FFFFFFFFFFFFFFFFF\r\n"])
  func brokenChunks(chunks: String) async throws {
    let isCut = chunks.hasSuffix("mod")
    try await withLiveServer(options: testOptions { $0.bodyTimeLimit = isCut ? .milliseconds(300) : .seconds(60) }) { server in
      try await server.connect { connection in
        try await connection.send(
          "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        await connection.read()
        #expect(connection.received.hasPrefix(isCut ? "HTTP/1.1 408 " : "HTTP/1.1 400 "), "\(connection.received)")
        #expect(connection.received.contains("\"type\":\"invalid_request_error\""))
        #expect(isCut || connection.received.contains("not sent as its header says"))
      }
    }
  }

  @Test func `a body of small chunks is read, and one of framing alone is a 400`() async throws {
    try await withLiveServer { server in
      try await server.connect { connection in
        let head = "POST /detokenize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        let body = "{\"tokens\":[97]" + String(repeating: " ", count: 300_001) + "}"
        var chunks = head
        var rest = body.utf8[...]
        while !rest.isEmpty {
          chunks += "2;a=b\r\n\(String(decoding: rest.prefix(2), as: UTF8.self))\r\n"
          rest = rest.dropFirst(2)
        }
        try await connection.send(chunks + "0\r\n\r\n")
        #expect(await connection.read { $0.hasSuffix("{\"prompt\":\"a\"}") }, "\(connection.received)")
        connection.forget()
        try? await connection.send(head + "1;" + String(repeating: "a", count: 200_000))
        await connection.read()
        #expect(connection.received.hasPrefix("HTTP/1.1 400 ") && connection.received.contains("bytes of framing"), "\(connection.received)")
      }
    }
  }

  @Test func `a header that takes too long ends the connection`() async throws {
    try await withLiveServer(options: testOptions { $0.headerTimeLimit = .milliseconds(300) }) { server in
      try await server.connect { connection in
        let start = ContinuousClock.now
        // One byte at a time is progress, but no header.
        let trickle = Task { [channel = connection.channel] in
          for byte in "GET /health HTTP/1.1\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy".utf8 {
            try await channel.writeAndFlush(ByteBuffer(bytes: [byte])).get()
            try await Task.sleep(for: .milliseconds(20))
          }
        }
        await connection.read()
        trickle.cancel()
        #expect(ContinuousClock.now - start < .seconds(3))
        #expect(connection.received.isEmpty)
      }
    }
  }

  @Test func `a body that takes too long is a 408 and the end`() async throws {
    try await withLiveServer(options: testOptions { $0.bodyTimeLimit = .seconds(1) }) { server in
      try await server.connect { connection in
        try await connection.send(
          "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        await connection.read()
        #expect(connection.received.hasPrefix("HTTP/1.1 408 "), "\(connection.received)")
        #expect(connection.received.contains("within 1 seconds"))
      }
    }
  }

  @Test("a body over the limit is a 413, announced or not", arguments: [true, false])
  func hugeBody(announced: Bool) async throws {
    try await withLiveServer(options: testOptions { $0.maximumBodyBytes = 100_000 }) { server in
      try await server.connect { connection in
        let length = announced ? "Content-Length: 1000000000" : "Transfer-Encoding: chunked"
        try await connection.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\(length)\r\n\r\n")
        let flood = Task { [channel = connection.channel] in
          let part = String(repeating: " ", count: 50_000)
          let text = announced ? part : "\(String(part.utf8.count, radix: 16))\r\n\(part)\r\n"
          while !Task.isCancelled { try await channel.writeAndFlush(ByteBuffer(string: text)).get() }
        }
        let isAnswered = await connection.read { $0.contains("request_too_large") }
        flood.cancel()
        #expect(isAnswered, "\(connection.received)")
        #expect(connection.received.hasPrefix("HTTP/1.1 413 "))
      }
    }
  }

  @Test func `a client that asks before it sends its body is told to go on`() async throws {
    try await withLiveServer { server in
      try await server.connect { connection in
        try await connection.send(
          "POST /detokenize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 15\r\nExpect: 100-continue\r\n\r\n")
        #expect(await connection.read { $0.hasPrefix("HTTP/1.1 100 ") && $0.hasSuffix("\r\n\r\n") })
        connection.forget()
        try await connection.send("{\"tokens\":[97]}")
        #expect(await connection.read { $0.hasSuffix("{\"prompt\":\"a\"}") })
        #expect(connection.received.hasPrefix("HTTP/1.1 200 "))
      }
    }
  }

  @Test func `a client that reads nothing does not keep its connection`() async throws {
    // More than the sockets' buffers hold: each token comes with log-probabilities of twenty others.
    let engine = slowEngine(tokens: 900, delay: .microseconds(1))
    try await withLiveServer(engine, options: testOptions { $0.writeStallLimit = .milliseconds(300) }) { server in
      try await server.connect { connection in
        try await connection.channel.setOption(.autoRead, value: false).get()
        for _ in 0..<40 {
          try await connection.post(
            "/v1/completions", ["model": "tiny", "prompt": "Say", "stream": true, "logprobs": 20, "n": 4])
        }
        try await eventually("nothing was started") { !engine.submissions.isEmpty }
        try await eventually("the server still writes to nobody", { engine.running == 0 && engine.submissions.count < 160 })
      }
      try await server.connect { connection in
        for _ in 0..<2000 where !connection.received.contains("drydock_answering_requests 0\n") {
          connection.forget()
          try await connection.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
          await connection.read { $0.contains("drydock_token_interval_seconds_count") }
          try await Task.sleep(for: .milliseconds(10))
        }
        #expect(connection.received.contains("drydock_answering_requests 0\n"))
      }
    }
  }

  @Test func `two hundred connections at once are all answered`() async throws {
    try await withLiveServer { server in
      let answered = try await withThrowingTaskGroup(of: Bool.self) { group in
        for _ in 0..<200 {
          group.addTask {
            try await server.connect { connection in
              try await connection.post("/v1/completions", Self.quick)
              return await connection.read { $0.contains("\"finish_reason\":\"length\"") }
            }
          }
        }
        return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
      }
      #expect(answered == 200)
    }
  }
}
