import JSON
import Serving
import Testing

@Suite struct StreamTests {
  static let chat: JSONObject = ["model": "tiny", "messages": [["role": "user", "content": "Hi"]], "stream": true]
  static let completion: JSONObject = ["model": "tiny", "prompt": "Say", "stream": true]

  func request(_ body: JSONObject, _ more: (String, JSONValue)...) -> JSONValue {
    var body = body
    for (name, value) in more { body[name] = value }
    return .object(body)
  }
  func content(_ chunks: [JSONValue], choice: Int = 0) -> String {
    chunks.flatMap { $0["choices"]?.array ?? [] }.filter { $0["index"]?.int == choice }
      .compactMap { $0["delta"]?["content"]?.string ?? $0["text"]?.string }.joined()
  }

  @Test func `a chat stream gives the role, the text, the reason and the end`() async throws {
    let reply = try await withServer(ScriptedEngine("Ahoy")) { try await $0.post("/v1/chat/completions", request(Self.chat)) }
    #expect(reply.status == 200)
    #expect(reply.headers[.contentType] == "text/event-stream; charset=utf-8")
    #expect(reply.headers[.cacheControl] == "no-cache")
    #expect(reply.events.last == "[DONE]")
    #expect(reply.text.hasSuffix("data: [DONE]\n\n"))
    let chunks = reply.chunks
    #expect(chunks.first?["choices"]?.array?.first?["delta"] == ["role": "assistant", "content": ""])
    #expect(content(chunks) == "Ahoy")
    #expect(chunks.last?["choices"]?.array?.first?["delta"] == [:])
    #expect(chunks.last?["choices"]?.array?.first?["finish_reason"] == "stop")
    #expect(chunks.allSatisfy { $0["object"] == "chat.completion.chunk" && $0["usage"] == nil })
    #expect(Set(chunks.map { $0["id"] }).count == 1)
    // One chunk a token, between the first and the last.
    #expect(chunks.count == 6)
  }

  @Test func `usage comes last where asked for, and null before`() async throws {
    let reply = try await withServer(ScriptedEngine("Ahoy")) {
      try await $0.post("/v1/chat/completions", request(Self.chat, ("stream_options", ["include_usage": true])))
    }
    let chunks = reply.chunks
    #expect(chunks.last?["choices"] == [])
    #expect(
      chunks.last?["usage"] == [
        "prompt_tokens": 19, "completion_tokens": 5, "total_tokens": 24, "prompt_tokens_details": ["cached_tokens": 3],
      ])
    #expect(chunks.dropLast().allSatisfy { $0["usage"]?.isNull == true })
  }

  @Test func `continuous usage counts up`() async throws {
    let reply = try await withServer(ScriptedEngine("Ahoy")) {
      try await $0.post("/v1/completions", request(Self.completion, ("stream_options", ["continuous_usage_stats": true])))
    }
    #expect(reply.chunks.compactMap { $0["usage"]?["completion_tokens"]?.int } == [1, 2, 3, 4, 5])
  }

  @Test func `a completion stream gives text, then the reason`() async throws {
    let reply = try await withServer(ScriptedEngine("Ahoy")) {
      try await $0.post("/v1/completions", request(Self.completion, ("echo", true), ("max_tokens", 3)))
    }
    #expect(content(reply.chunks) == "SayAho")
    #expect(reply.chunks.last?["choices"]?.array?.first?["finish_reason"] == "length")
    #expect(reply.chunks.allSatisfy { $0["object"] == "text_completion" })
  }

  @Test func `no event holds half a character or the beginning of a stop string`() async throws {
    let text = "né \u{1F6A2} \u{1F469}\u{200D}\u{1F680} STAR STOP never"
    let reply = try await withServer(ScriptedEngine(text)) {
      try await $0.post("/v1/chat/completions", request(Self.chat, ("stop", "STOP")))
    }
    let pieces = reply.chunks.compactMap { $0["choices"]?.array?.first?["delta"]?["content"]?.string }
    #expect(pieces.joined() == "né \u{1F6A2} \u{1F469}\u{200D}\u{1F680} STAR ")
    #expect(!pieces.contains { $0.contains("\u{FFFD}") || $0 == "S" || $0 == "ST" })
    #expect(reply.chunks.last?["choices"]?.array?.first?["stop_reason"] == "STOP")
  }

  @Test func `several answers are told apart by their index`() async throws {
    let engine = ScriptedEngine { ScriptedEngine.Script("answer \($0.parameters.choice)") }
    let reply = try await withServer(engine) { try await $0.post("/v1/chat/completions", request(Self.chat, ("n", 3))) }
    for index in 0..<3 { #expect(content(reply.chunks, choice: index) == "answer \(index)") }
    #expect(reply.chunks.compactMap { $0["choices"]?.array?.first?["finish_reason"]?.string }.count == 3)
  }

  @Test func `a streamed answer is the whole answer in pieces`() async throws {
    let engine = ScriptedEngine("One two three \u{1F6A2} four")
    try await withServer(engine) {
      for stop: JSONValue in [nil, "three", "fourth", ["zz", "\u{1F6A2} f"]] {
        let whole = try await $0.post(
          "/v1/completions", request(Self.completion, ("stream", false), ("stop", stop), ("logprobs", 1)))
        let parts = try await $0.post("/v1/completions", request(Self.completion, ("stop", stop), ("logprobs", 1)))
        let choice = whole.json["choices"]?.array?.first
        #expect(content(parts.chunks) == choice?["text"]?.string)
        let choices = parts.chunks.compactMap { $0["choices"]?.array?.first }
        for name in ["tokens", "token_logprobs", "text_offset", "top_logprobs"] {
          #expect(choices.flatMap { $0["logprobs"]?[name]?.array ?? [] } == choice?["logprobs"]?[name]?.array)
        }
        #expect(choices.last?["stop_reason"] == choice?["stop_reason"])
      }
    }
  }

  @Test func `new weights change the fingerprint of what follows`() async throws {
    let engine = ScriptedEngine { _ in
      var script = ScriptedEngine.Script("abcd")
      script.weightsChange = (after: 2, version: "weights-2")
      return script
    }
    let reply = try await withServer(engine) { try await $0.post("/v1/completions", request(Self.completion)) }
    #expect(
      reply.chunks.map { $0["system_fingerprint"]?.string } == ["weights-1", "weights-1", "weights-2", "weights-2", "weights-2"])
  }

  @Test func `a failure after the first event becomes an event, and the stream still ends`() async throws {
    let engine = ScriptedEngine { _ in
      var script = ScriptedEngine.Script("ab")
      script.error = ScriptedFailure(message: "rank 1 stopped")
      return script
    }
    let reply = try await withServer(engine) { try await $0.post("/v1/chat/completions", request(Self.chat)) }
    #expect(reply.status == 200)
    #expect(content(reply.chunks) == "ab")
    #expect(reply.chunks.last?["error"]?["message"]?.string?.contains("rank 1 stopped") == true)
    #expect(reply.events.last == "[DONE]")
  }

  @Test func `a refusal comes before the first event, as a status`() async throws {
    let engine = ScriptedEngine()
    engine.refusal = .queueFull(retryAfter: 7)
    let reply = try await withServer(engine) { try await $0.post("/v1/chat/completions", request(Self.chat)) }
    #expect(reply.status == 429)
    #expect(reply.headers[.retryAfter] == "7")
    #expect(reply.error["type"] == "rate_limit_error")
    #expect(reply.error["code"] == "rate_limit_exceeded")
  }

  @Test(arguments: ["/v1/completions", "/v1/chat/completions"])
  func `a stream on which nothing comes yet is kept alive by comments`(path: String) async throws {
    let engine = ScriptedEngine { _ in
      var script = ScriptedEngine.Script("Hi")
      script.delay = .milliseconds(200)
      return script
    }
    var body = path == "/v1/completions" ? BadRequestTests.completion : BadRequestTests.chat
    body["stream"] = true
    let request = JSONValue.object(body)
    let comment = ": keep-alive\n\n"
    let silent = try await withServer(engine) { try await $0.post(path, request) }
    let spoken = try await withServer(engine, options: testOptions { $0.keepAliveInterval = .milliseconds(10) }) { try await $0.post(path, request) }
    // Before the first event, too, which clients take for the first token.
    #expect(spoken.text.hasPrefix(comment), "\(spoken.text)")
    #expect(!silent.text.contains(comment))
    let rest = Reply(status: 200, headers: [:], text: spoken.text.replacing(comment, with: ""))
    #expect(rest.chunks.map { $0["choices"] } == silent.chunks.map { $0["choices"] } && rest.events.last == "[DONE]")
  }
}
