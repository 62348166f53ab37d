import Foundation
import Inference
import JSON
import Serving
import Synchronization
import TestSupport
import Testing
import Tokenizers

/// The server over a real engine loop and a real tokenizer.
@Suite(.timeLimit(.minutes(8))) struct LoopEngineTests {
  static let prompt = "The ship sails over the wide and quiet sea, and nobody knows where it is going to."
  static let body: JSONObject = ["model": "tiny", "prompt": .string(prompt), "temperature": 0, "max_tokens": 12]

  func request(_ more: (String, JSONValue)...) -> JSONValue {
    var body = Self.body
    for (name, value) in more { body[name] = value }
    return .object(body)
  }

  @Test func `an answer is the text of the loop's tokens, and the prompt is found in the cache again`() async throws {
    let loop = try LoopEngine()
    let ids = loop.tokenizer.encode(Self.prompt)
    let expected = loop.tokenizer.decode(loop.walk(from: ids, count: 12))
    try await withServer(loop.engine) {
      let reply = try await $0.post("/v1/completions", request())
      #expect(reply.json["choices"]?.array?.first?["text"] == .string(expected))
      #expect(reply.json["choices"]?.array?.first?["finish_reason"] == "length")
      #expect(reply.json["system_fingerprint"] == "fp_walk")
      #expect(reply.json["usage"]?["prompt_tokens"]?.int == ids.count)
      #expect(reply.json["usage"]?["prompt_tokens_details"] == ["cached_tokens": 0])
      let again = try await $0.post("/v1/completions", request())
      #expect(again.json["choices"] == reply.json["choices"])
      // Whole blocks of 16; the last prompt token is always computed.
      #expect(again.json["usage"]?["prompt_tokens_details"]?["cached_tokens"]?.int == (ids.count - 1) / 16 * 16)
    }
  }

  @Test func `while the engine cannot be trusted, health says so and nothing is answered`() async throws {
    let spoilt = Atomic(false)
    let loop = try LoopEngine(failure: { spoilt.load(ordering: .relaxed) ? "rank0.engine was written to" : nil })
    try await withServer(loop.engine) {
      for path in ["/health", "/health_generate"] { #expect(try await $0.get(path).status == 200) }
      spoilt.store(true, ordering: .relaxed)
      for path in ["/health", "/health_generate"] {
        let reply = try await $0.get(path)
        #expect(reply.status == 503 && reply.error["message"]?.string?.contains("rank0.engine was written to") == true)
      }
      #expect(try await $0.post("/v1/completions", request()).status == 503)
      spoilt.store(false, ordering: .relaxed)
      #expect(try await $0.post("/v1/completions", request()).status == 200)
    }
  }

  @Test func `the share of the memory-read limit is what steps read in their time`() async throws {
    // A step reads 1,000 bytes in 5 ms or a little more: 200,000 bytes a second at most.
    let loop = try LoopEngine(delay: .milliseconds(5), memoryReadRate: 400_000)
    try await withServer(loop.engine) {
      #expect(try await $0.get("/metrics").text.contains("drydock_memory_read_share") == false, "nothing was decoded yet")
      _ = try await $0.post("/v1/completions", request())
      let line = try await $0.get("/metrics").text.split(separator: "\n").first { $0.hasPrefix("drydock_memory_read_share ") }
      let share = try #require(line?.split(separator: " ").last.flatMap { Double($0) })
      #expect(share > 0.01 && share <= 0.5)
    }
  }

  @Test func `a prompt's scores are those of its own tokens, however often it was asked before`() async throws {
    let loop = try LoopEngine()
    let ids = loop.tokenizer.encode(Self.prompt)
    let wanted = zip(ids, ids.dropFirst()).map { token, next in
      let logits = WalkingExecutor.logits(token, vocabularySize: loop.tokenizer.vocabularySize).map(Double.init)
      return logits[Int(next)] - log(logits.reduce(0) { $0 + exp($1) })
    }
    try await withServer(loop.engine) {
      _ = try await $0.post("/v1/completions", request())  // leaves the prompt in the cache
      for count in [0, 1, 0] {
        let reply = try await $0.post(
          "/v1/completions", request(("echo", true), ("logprobs", 2), ("max_tokens", .int(count))))
        let lists = reply.json["choices"]?.array?.first?["logprobs"]
        let found = try #require(lists?["token_logprobs"]?.array)
        #expect(found.count == ids.count + count && found.first?.isNull == true)
        for (mine, value) in zip(found.dropFirst().compactMap(\.double), wanted) { #expect(abs(mine - value) < 1e-4) }
        #expect(lists?["text_offset"]?.array?.count == ids.count + count)
        #expect(reply.json["usage"]?["prompt_tokens_details"] == ["cached_tokens": 0])
        #expect(reply.json["system_fingerprint"] == "fp_walk")
      }
    }
  }

  @Test func `the model's end of sequence ends an answer unless it is to be ignored`() async throws {
    let free = try LoopEngine()
    let walk = free.walk(from: free.tokenizer.encode(Self.prompt), count: 12)
    let end = walk[5]
    let loop = try LoopEngine(end: end)
    try await withServer(loop.engine) {
      let reply = try await $0.post("/v1/completions", request())
      let choice = reply.json["choices"]?.array?.first
      #expect(choice?["text"] == .string(loop.tokenizer.decode(walk[..<5])))
      #expect(choice?["finish_reason"] == "stop")
      #expect(choice?["stop_reason"]?.isNull == true)
      #expect(reply.json["usage"]?["completion_tokens"] == 6)
      let on = try await $0.post("/v1/completions", request(("ignore_eos", true)))
      #expect(on.json["choices"]?.array?.first?["text"] == .string(loop.tokenizer.decode(walk)))
    }
  }

  @Test func `the chat template's text is what the loop is given`() async throws {
    let loop = try LoopEngine()
    let ids = loop.tokenizer.encode("[user]Hi[assistant]", addSpecialTokens: false)
    try await withServer(loop.engine, options: trusting) {
      let reply = try await $0.post(
        "/v1/chat/completions",
        ["model": "tiny", "messages": [["role": "user", "content": "Hi"]], "temperature": 0, "max_tokens": 8])
      let expected = loop.tokenizer.decode(loop.walk(from: ids, count: 8))
      #expect(reply.json["choices"]?.array?.first?["message"]?["content"] == .string(expected))
      let own = try await $0.post(
        "/tokenize", ["messages": [["role": "user", "content": "Hi"]], "chat_template": "{{ messages[0].content }}"])
      #expect(own.json["tokens"] == .ints(loop.tokenizer.encode("Hi", addSpecialTokens: false).map(Int.init)))
      let template = try ChatTemplate(source: "<{{ messages[-1].content }}>")
      let other = LoopCompletionEngine(
        loop: loop.loop, tokenizer: loop.tokenizer, weightVersion: "fp", chatTemplate: template)
      #expect(try other.applyChatTemplate(Conversation(messages: [["role": "user", "content": "Hi"]]), budget: WorkBudget(timeLimit: .seconds(60))) == "<Hi>")
      let developer: JSONValue = [["role": "developer", "content": "Hi", "name": "x"]]
      for (template, text) in [
        ("{{ messages[0].role }} {{ messages[0].name }}", "system x"), ("{% if messages[0].role == 'developer' %}{{ messages[0].role }}{% endif %}", "developer"),
      ] {
        let roles = try await $0.post("/tokenize", ["messages": developer, "chat_template": .string(template)])
        #expect(roles.json["tokens"] == .ints(loop.tokenizer.encode(text, addSpecialTokens: false).map(Int.init)), "\(roles.text)")
      }
      let broken = try await $0.post(
        "/tokenize", ["messages": [["role": "user", "content": "Hi"]], "chat_template": "{% for %}"])
      #expect(broken.status == 400)
      #expect(broken.error["code"] == "chat_template_error")
    }
  }

  @Test func `answers do not depend on what else is asked`() async throws {
    let loop = try LoopEngine()
    try await withServer(loop.engine) { exchange in
      let seeded = request(("temperature", 1), ("seed", 5), ("n", 2))
      let alone = try await exchange.post("/v1/completions", seeded).json["choices"]
      let among = try await withThrowingTaskGroup(of: JSONValue?.self) { group in
        for index in 0..<12 {
          group.addTask {
            if index % 2 == 0 { return try await exchange.post("/v1/completions", seeded).json["choices"] }
            _ = try await exchange.post("/v1/completions", request(("prompt", .string("Other \(index)"))))
            return nil
          }
        }
        return try await group.reduce(into: [JSONValue]()) { if let choices = $1 { $0.append(choices) } }
      }
      #expect(among.count == 6)
      #expect(among.allSatisfy { $0 == alone })
      let other = try await exchange.post("/v1/completions", request(("temperature", 1), ("seed", 6), ("n", 2)))
      #expect(other.json["choices"] != alone)
    }
  }

  @Test func `a text that is surely too long is refused unread`() async throws {
    let loop = try LoopEngine(maximumSequenceLength: 64)
    let limit = try #require(loop.engine.limits.maximumPromptBytes)
    // The longest token over and over is the shortest that a text of its length can be.
    let longest = try #require(
      (0..<Int32(loop.tokenizer.vocabularySize)).map { loop.tokenizer.bytes(ofID: $0) }.max { $0.count < $1.count })
    #expect(limit >= longest.count * 64)
    try await withServer(loop.engine, options: testOptions { $0.maximumBodyBytes = 1 << 20 }) {
      let reply = try await $0.post("/v1/completions", request(("prompt", .string(String(repeating: "a", count: limit + 1)))))
      #expect(reply.status == 400)
      #expect(reply.error["code"] == "context_length_exceeded")
      #expect(reply.error["message"]?.string?.contains("\(limit + 1) bytes") == true)
    }
  }

  @Test func `a client that leaves frees its place in the loop`() async throws {
    let loop = try LoopEngine(delay: .milliseconds(2))
    try await withLiveServer(loop.engine) { server in
      try await server.connect { connection in
        try await connection.post("/v1/completions", request(("stream", true), ("max_tokens", 4000)))
        #expect(await connection.read { $0.contains("data: ") })
        try await connection.channel.close().get()
      }
      try await eventually("the request is not cancelled") { loop.loop.statistics.cancelledRequests == 1 }
      try await eventually("it still runs") { loop.loop.statistics.running == 0 }
    }
  }

  @Test func `a full queue is a 429, a stopped loop a 503`() async throws {
    let loop = try LoopEngine(maximumQueued: 1, delay: .milliseconds(5))
    try await withServer(loop.engine) { exchange in
      // Four run, one waits, and there is no room for more.
      let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<12 {
          group.addTask { try await exchange.post("/v1/completions", request(("max_tokens", 100))).status }
        }
        return try await group.reduce(into: [Int]()) { $0.append($1) }
      }
      #expect(statuses.contains(200))
      #expect(statuses.contains(429))
      #expect(statuses.allSatisfy { $0 == 200 || $0 == 429 })
      await loop.loop.stop(drain: false)
      #expect(try await exchange.post("/v1/completions", request()).status == 503)
    }
  }

  @Test(
    "the openai client gets what it expects",
    .enabled(if: Extras.python != nil, Extras.noPython))
  func client() async throws {
    let python = try #require(Extras.python).string
    let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Scripts/reference/openai_client_check.py")
    let loop = try LoopEngine()
    try await withLiveServer(loop.engine, options: testOptions { $0.apiKey = Secret("k") }) { server in
      let (status, output) = try await run(
        python, [script.path(), "http://127.0.0.1:\(server.port)/v1", "tiny", "--api_key", "k"])
      #expect(status == 0, "\(output)")
      #expect(output.contains("all checks passed"))
    }
  }

  /// Runs a program to its end without blocking the threads that the server needs.
  private func run(_ program: String, _ arguments: [String]) async throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    return try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        do {
          try process.run()
          let data = pipe.fileHandleForReading.readDataToEndOfFile()
          process.waitUntilExit()
          continuation.resume(returning: (process.terminationStatus, String(decoding: data, as: UTF8.self)))
        } catch { continuation.resume(throwing: error) }
      }
    }
  }
}
