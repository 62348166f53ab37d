import Foundation
import JSON
import Serving
import Synchronization
import Testing
import Tokenizers

/// Work whose amount a client chooses is done on the server's own threads, bounded, and by nobody else.
@Suite(.timeLimit(.minutes(8))) struct RequestWorkersTests {
  /// Holds texts up that begin with `hold`, and counts them.
  private final class Gate: Sendable {
    let waiting = Atomic(0)
    let cancelled = Atomic(0)
    private let isOpen = Atomic(false)
    func open() { isOpen.store(true, ordering: .relaxed) }

    func pass(_ text: String, _ budget: WorkBudget) throws {
      guard text.hasPrefix("hold") else { return }
      waiting.wrappingAdd(1, ordering: .relaxed)
      defer { waiting.wrappingSubtract(1, ordering: .relaxed) }
      while !isOpen.load(ordering: .relaxed) {
        usleep(1000)
        do { try budget.check() } catch {
          if error == .cancelled { cancelled.wrappingAdd(1, ordering: .relaxed) }
          throw error
        }
      }
    }
  }
  private func gated() -> (ScriptedEngine, Gate) {
    let (engine, gate) = (ScriptedEngine("x"), Gate())
    engine.onTokenize.withLock { $0 = { try gate.pass($0, $1) } }
    return (engine, gate)
  }
  private func options(threads: Int = 2, waiting: Int = 128, time: Duration = .seconds(100)) -> ServerOptions {
    testOptions {
      $0.workers.threadCount = threads
      $0.workers.maximumWaiting = waiting
      $0.workers.timeLimit = time
    }
  }
  private func prompt(_ text: String) -> JSONValue { ["model": "tiny", "prompt": .string(text), "max_tokens": 1] }

  @Test func `requests that are being read hold up neither health nor streams`() async throws {
    // More than there are threads of any kind.
    let held = 64
    let (engine, gate) = gated()
    try await withServer(engine, options: options()) { server in
      try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<held { group.addTask { try await server.post("/v1/completions", prompt("hold")).status } }
        try await eventually("no request is read") { gate.waiting.load(ordering: .relaxed) == 2 }
        for _ in 0..<8 { #expect(try await server.get("/health").status == 200) }
        #expect(gate.waiting.load(ordering: .relaxed) == 2, "the threads of the server, and no others")
        gate.open()
        for try await status in group { #expect(status == 200) }
      }
    }
  }

  @Test func `a stream that runs goes on while all threads read`() async throws {
    let (engine, gate) = gated()
    try await withLiveServer(engine, options: options()) { server in
      try await server.connect { stream in
        var body = LiveConnectionTests.endless
        body["max_tokens"] = 3
        try await stream.post("/v1/completions", .object(body))
        #expect(await stream.read { $0.contains("[DONE]") })
        try await withThrowingTaskGroup(of: Void.self) { group in
          for _ in 0..<4 {
            group.addTask {
              try await server.connect { held in
                try await held.post("/v1/completions", prompt("hold"))
                await held.read { $0.contains("finish_reason") }
              }
            }
          }
          try await eventually("no request is read") { gate.waiting.load(ordering: .relaxed) == 2 }
          try await server.connect { other in
            try await other.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await other.read { $0.hasPrefix("HTTP/1.1 200 OK") })
          }
          gate.open()
          try await group.waitForAll()
        }
      }
    }
  }

  @Test func `what finds no place in the queue is told to come back`() async throws {
    let (engine, gate) = gated()
    try await withServer(engine, options: options(waiting: 3)) { server in
      try await withThrowingTaskGroup(of: Reply.self) { group in
        for _ in 0..<2 { group.addTask { try await server.post("/v1/completions", prompt("hold")) } }
        try await eventually("no request is read") { gate.waiting.load(ordering: .relaxed) == 2 }
        for _ in 0..<8 { group.addTask { try await server.post("/v1/completions", prompt("hold")) } }
        for _ in 0..<5 {
          let refused = try #require(try await group.next())
          #expect(refused.status == 429 && refused.headers[.retryAfter] == "2", "\(refused.text)")
          #expect(refused.error["code"] == "rate_limit_exceeded")
        }
        gate.open()
        for try await reply in group { #expect(reply.status == 200) }
      }
    }
  }

  @Test func `a request has a time to be read in`() async throws {
    let (engine, _) = gated()
    let reply = try await withServer(engine, options: options(time: .milliseconds(20))) {
      try await $0.post("/v1/completions", prompt("hold"))
    }
    #expect(reply.status == 400 && reply.error["code"] == "request_too_costly")
    #expect(reply.error["message"]?.string?.contains("it takes longer than 0.02 s") == true)
    #expect(engine.submissions.isEmpty)
  }

  @Test func `a client that leaves ends the reading of its request, in the queue and under way`() async throws {
    let (engine, gate) = gated()
    try await withLiveServer(engine, options: options()) { server in
      for _ in 0..<3 {
        try await server.connect { connection in
          for _ in 0..<1 { try await connection.post("/v1/completions", prompt("hold")) }
          try await eventually("it is not read") { gate.waiting.load(ordering: .relaxed) > 0 }
        }
        try await eventually("it is read for nobody") { gate.waiting.load(ordering: .relaxed) == 0 }
      }
    }
    #expect(gate.cancelled.load(ordering: .relaxed) == 3)
    #expect(engine.submissions.isEmpty)
  }

  @Test func `large requests never have all threads`() async throws {
    let (engine, gate) = gated()
    let large = prompt("hold" + String(repeating: " ", count: 70_000))
    try await withServer(engine, options: options(threads: 3)) { server in
      try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<6 {
          group.addTask {
            try await server.post("/tokenize", ["model": "tiny", "prompt": large["prompt"] ?? nil]).status
          }
        }
        try await eventually("no request is read") { gate.waiting.load(ordering: .relaxed) == 2 }
        #expect(try await server.post("/v1/completions", prompt("quick")).status == 200)
        #expect(gate.waiting.load(ordering: .relaxed) == 2)
        gate.open()
        for try await status in group { #expect(status == 200) }
      }
    }
  }

  @Test func `a template that a request brings is a large job, and stops when its client leaves`() async throws {
    let loop = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"
    let reply = try await withServer(options: trusting) {
      try await $0.post(
        "/v1/chat/completions",
        ["model": "tiny", "messages": [["role": "user", "content": "Hi"]], "chat_template": .string(loop)])
    }
    #expect(reply.status == 400 && reply.error["code"] == "chat_template_error")
    let refused = try await withServer {
      try await $0.post(
        "/tokenize", ["messages": [["role": "user", "content": "Hi"]], "chat_template": .string(loop)])
    }
    #expect(refused.status == 400 && refused.error["param"] == "chat_template")
    #expect(refused.error["message"]?.string?.contains("--trust_request_chat_template") == true)
  }

  @Test(
    "a body that would take much memory or time is refused before it does",
    arguments: [
      ("{\"model\":\"tiny\",\"prompt\":[" + String(repeating: "{},", count: 1 << 20) + "1]}", "more than 1048576 values"),
      ("{\"" + String(repeating: "a\u{301}\u{316}", count: 200) + "\":1}", "a name has 1000 bytes, more than 512"),
      (String(repeating: "[", count: 100_000), "nested deeper than 64 levels"),
    ])
  func hostileBody(body: String, problem: String) async throws {
    let reply = try await withServer { try await $0.send(.post, "/v1/completions", body) }
    #expect(reply.status == 400 && reply.error["code"] == "invalid_json")
    #expect(reply.error["message"]?.string?.contains(problem) == true, "\(reply.text.prefix(300))")
  }

  @Test func `texts and scores of one request are bounded together`() async throws {
    try await withServer { server in
      let texts = JSONValue.array(Array(repeating: .string(String(repeating: " ", count: 400_000)), count: 8))
      let long = try await server.post("/v1/completions", ["model": "tiny", "prompt": texts, "truncate_prompt_tokens": 5])
      #expect(long.status == 400 && long.error["code"] == "context_length_exceeded", "\(long.text.prefix(300))")
      let ids = try await server.post("/detokenize", ["tokens": .ints(Array(repeating: 1, count: (1 << 17) + 1))])
      #expect(ids.status == 400 && ids.error["param"] == "tokens")
      let scored = try await server.post(
        "/v1/completions",
        ["model": "tiny", "prompt": .ints(Array(repeating: 97, count: 900)), "echo": true, "logprobs": 20, "n": 128, "max_tokens": 0])
      #expect(scored.status == 400 && scored.error["param"] == "logprobs", "\(scored.text.prefix(300))")
    }
  }

  @Test func `large bodies on their way share a bound, beside which small requests are answered`() async throws {
    let options = testOptions { $0.maximumBodyMemory = 1 << 20 }
    try await withLiveServer(options: options) { server in
      // Which of the two large bodies finds no room is a matter of arrival: until it is the second.
      var isRefused = false
      for attempt in 1...50 where !isRefused {
        isRefused = try await server.connect { slow in
          try await slow.send(
            "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n"
              + String(repeating: " ", count: 1 << 20))
          try await Task.sleep(for: .milliseconds(20 * attempt))
          let isSecond = try await server.connect { large in
            try await large.post("/v1/completions", ["model": "tiny", "prompt": .string(String(repeating: "x", count: 200_000))])
            await large.read { $0.contains("\r\n\r\n") }
            return large.received.hasPrefix("HTTP/1.1 503 ") && large.received.lowercased().contains("retry-after: 2")
          }
          try await server.connect { other in
            try await other.post("/v1/completions", LiveConnectionTests.quick)
            #expect(await other.read { $0.contains("\"finish_reason\":\"length\"") })
          }
          return isSecond
        }
      }
      #expect(isRefused)
    }
  }
}
