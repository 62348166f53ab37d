import Inference
import JSON
import Serving
import Testing
import Tokenizers

@Suite struct CompletionsTests {
  static let prompt: JSONValue = ["model": "tiny", "prompt": "Say"]

  func request(_ more: (String, JSONValue)...) -> JSONValue {
    var body = Self.prompt.object ?? [:]
    for (name, value) in more { body[name] = value }
    return .object(body)
  }

  @Test func `a reply has every field of OpenAI's shape`() async throws {
    let reply = try await withServer { try await $0.post("/v1/completions", Self.prompt) }
    #expect(reply.status == 200)
    #expect(reply.headers[.contentType] == "application/json")
    let json = reply.json
    #expect(json["id"]?.string?.wholeMatch(of: /cmpl-[0-9a-f]{32}/) != nil)
    #expect(json["object"] == "text_completion")
    #expect(json["model"] == "tiny")
    #expect(json["system_fingerprint"] == "weights-1")
    #expect((json["created"]?.int ?? 0) > 1_700_000_000)
    #expect(
      json["choices"] == [
        ["index": 0, "text": " Hello, world", "logprobs": nil, "finish_reason": "stop", "stop_reason": nil]
      ])
    #expect(
      json["usage"] == [
        "prompt_tokens": 4, "completion_tokens": 14, "total_tokens": 18, "prompt_tokens_details": ["cached_tokens": 3],
      ])
  }

  @Test func `max_tokens ends an answer with finish_reason length`() async throws {
    let reply = try await withServer { try await $0.post("/v1/completions", request(("max_tokens", 5))) }
    #expect(reply.json["choices"]?.array?.first?["text"] == " Hell")
    #expect(reply.json["choices"]?.array?.first?["finish_reason"] == "length")
    #expect(reply.json["usage"]?["completion_tokens"] == 5)
  }

  @Test func `without max_tokens an answer may fill the sequence, and more than fits is cut to what fits`() async throws {
    let engine = ScriptedEngine()
    try await withServer(engine) {
      _ = try await $0.post("/v1/completions", Self.prompt)
      _ = try await $0.post("/v1/completions", request(("max_tokens", 5000)))
    }
    #expect(engine.submissions.map(\.parameters.maximumTokens) == [996, 996])
  }

  @Test func `a prompt that leaves no room is refused by its length`() async throws {
    let long = String(repeating: "x", count: 999)
    try await withServer {
      let reply = try await $0.post("/v1/completions", request(("prompt", .string(long))))
      #expect(reply.status == 400)
      #expect(reply.error["code"] == "context_length_exceeded")
      #expect(reply.error["message"]?.string?.contains("1000 tokens") == true)
      let cut = try await $0.post("/v1/completions", request(("prompt", .string(long)), ("truncate_prompt_tokens", 10)))
      #expect(cut.status == 200)
      #expect(cut.json["usage"]?["prompt_tokens"] == 10)
    }
  }

  @Test(
    arguments: [
      (["world"], false, " Hello, ", "world"), ("lo, w", false, " Hel", "lo, w"),
      (["zzz", "o"], false, " Hell", "o"), (["world"], true, " Hello, world", "world"), ("worldly", false, " Hello, world", nil),
    ] as [(JSONValue, Bool, String, String?)])
  func `a stop string ends the text before itself, or after where asked`(
    stop: JSONValue, included: Bool, text: String, reason: String?
  ) async throws {
    let reply = try await withServer {
      try await $0.post("/v1/completions", request(("stop", stop), ("include_stop_str_in_output", .bool(included))))
    }
    let choice = reply.json["choices"]?.array?.first
    #expect(choice?["text"] == .string(text))
    #expect(choice?["finish_reason"] == "stop")
    #expect(choice?["stop_reason"] == reason.map { .string($0) } ?? JSONValue.null)
  }

  @Test func `a stop string ends the sequence in the engine, too`() async throws {
    let engine = ScriptedEngine { _ in
      var script = ScriptedEngine.Script(String(repeating: "stop here ", count: 50))
      script.delay = .milliseconds(5)
      return script
    }
    let reply = try await withServer(engine) { try await $0.post("/v1/completions", request(("stop", "here"))) }
    #expect(reply.json["choices"]?.array?.first?["text"] == "stop ")
    #expect(reply.json["usage"]?["completion_tokens"] == 9)
    try await eventually("the sequence still runs") { engine.running == 0 }
    #expect(engine.cancelled == 1)
  }

  @Test func `stop token ids end the answer and say which`() async throws {
    let engine = ScriptedEngine()
    let reply = try await withServer(engine) { try await $0.post("/v1/completions", request(("stop_token_ids", [44]))) }
    let choice = reply.json["choices"]?.array?.first
    #expect(choice?["text"] == " Hello")
    #expect(choice?["stop_reason"] == 44)
    #expect(engine.submissions.first?.parameters.stopTokenIDs == [44])
  }

  @Test func `min_tokens keeps stop strings from counting`() async throws {
    let reply = try await withServer { try await $0.post("/v1/completions", request(("stop", "l"), ("min_tokens", 5))) }
    #expect(reply.json["choices"]?.array?.first?["text"] == " Hello, wor")
  }

  @Test func `every sampling field reaches the engine`() async throws {
    let engine = ScriptedEngine()
    _ = try await withServer(engine) {
      try await $0.post(
        "/v1/completions",
        request(
          ("temperature", 0.5), ("top_p", 0.9), ("top_k", 40), ("min_p", 0.05), ("repetition_penalty", 1.1),
          ("presence_penalty", 0.25), ("frequency_penalty", -0.5), ("logit_bias", ["5": -100, "7": 2.5]), ("seed", 42),
          ("max_tokens", 9), ("min_tokens", 2), ("ignore_eos", true), ("stop_token_ids", [1, 2]), ("logprobs", 3)))
    }
    var wanted = SamplingParameters(maximumTokens: 9)
    wanted.temperature = 0.5
    wanted.topP = 0.9
    wanted.topK = 40
    wanted.minP = 0.05
    wanted.repetitionPenalty = 1.1
    wanted.presencePenalty = 0.25
    wanted.frequencyPenalty = -0.5
    wanted.logitBias = [5: -100, 7: 2.5]
    wanted.seed = 42
    wanted.minimumTokens = 2
    wanted.ignoreEndOfSequence = true
    wanted.stopTokenIDs = [1, 2]
    wanted.logProbabilities = 3
    #expect(engine.submissions.map(\.parameters) == [wanted])
  }

  @Test func `a model's own sampling settings count where a request gives none, and only where the server is told so`() async throws {
    let engine = ScriptedEngine()
    var defaults = SamplingDefaults()
    (defaults.temperature, defaults.topK, defaults.topP, defaults.minP, defaults.repetitionPenalty) = (0.6, 20, 0.95, 0.02, 1.1)
    let options = testOptions { $0.samplingDefaults = defaults }
    let messages: JSONValue = ["model": "tiny", "messages": [["role": "user", "content": "Hi"]], "max_tokens": 9, "top_p": nil]
    let given = request(("temperature", 0), ("top_k", 0), ("top_p", 1), ("min_p", 0), ("repetition_penalty", 1), ("max_tokens", 9))
    try await withServer(engine, options: options) {
      _ = try await $0.post("/v1/completions", request(("max_tokens", 9)))
      _ = try await $0.post("/v1/chat/completions", messages)
      _ = try await $0.post("/v1/completions", given)
    }
    try await withServer(engine) { _ = try await $0.post("/v1/completions", request(("max_tokens", 9))) }
    let plain = SamplingParameters(maximumTokens: 9)
    var (published, greedy) = (plain, plain)
    (published.temperature, published.topK, published.topP, published.minP, published.repetitionPenalty) = (0.6, 20, 0.95, 0.02, 1.1)
    greedy.temperature = 0
    #expect(engine.submissions.map(\.parameters) == [published, published, greedy, plain])
  }

  @Test func `a prompt under another name is told with the name that it should have`() async throws {
    let reply = try await withServer { try await $0.post("/v1/completions", ["model": "tiny", "promt": "Say"]) }
    #expect(reply.status == 400 && reply.error["message"]?.string?.contains("did you mean 'prompt'?") == true, "\(reply.text)")
  }

  @Test func `null fields are as good as absent`() async throws {
    let engine = ScriptedEngine()
    let reply = try await withServer(engine) {
      try await $0.post(
        "/v1/completions",
        request(
          ("temperature", nil), ("top_p", nil), ("n", nil), ("stop", nil), ("max_tokens", nil), ("logprobs", nil),
          ("suffix", nil), ("response_format", nil), ("stream", nil), ("stream_options", nil), ("seed", nil)))
    }
    #expect(reply.status == 200)
    #expect(engine.submissions.first?.parameters == SamplingParameters(maximumTokens: 996))
  }

  @Test func `prompts come as text or as ids, one or many`() async throws {
    let engine = ScriptedEngine()
    let prompts: [(JSONValue, [[Int32]])] = [
      ("ab", [[256, 97, 98]]), (["a", "b"], [[256, 97], [256, 98]]), ([5, 6], [[5, 6]]), ([[5], [6, 7]], [[5], [6, 7]]),
      (["a", [9]], [[256, 97], [9]]),
    ]
    try await withServer(engine) {
      for (prompt, ids) in prompts {
        let before = engine.submissions.count
        let reply = try await $0.post("/v1/completions", request(("prompt", prompt)))
        #expect(engine.submissions[before...].map(\.promptIDs) == ids)
        #expect(reply.json["choices"]?.array?.compactMap { $0["index"]?.int } == Array(ids.indices))
        #expect(reply.json["usage"]?["prompt_tokens"]?.int == ids.reduce(0) { $0 + $1.count })
      }
      _ = try await $0.post("/v1/completions", request(("add_special_tokens", false)))
      #expect(engine.submissions.last?.promptIDs == [83, 97, 121])
    }
  }

  @Test func `n answers draw differently, in order`() async throws {
    let engine = ScriptedEngine { ScriptedEngine.Script("answer \($0.parameters.choice) to \($0.promptIDs[0])") }
    let reply = try await withServer(engine) {
      try await $0.post("/v1/completions", request(("prompt", [[1], [2]]), ("n", 2), ("seed", 7)))
    }
    #expect(
      reply.json["choices"]?.array?.compactMap { $0["text"]?.string } == [
        "answer 0 to 1", "answer 1 to 1", "answer 0 to 2", "answer 1 to 2",
      ])
    #expect(engine.submissions.map(\.parameters.seed) == [7, 7, 7, 7])
    #expect(reply.json["usage"]?["prompt_tokens"] == 2)
    #expect(reply.json["usage"]?["prompt_tokens_details"] == ["cached_tokens": 6])
  }

  @Test func `best_of keeps the likeliest answers and counts all tokens`() async throws {
    // The smaller the byte, the likelier the scripted token.
    let engine = ScriptedEngine { ScriptedEngine.Script(["zz", "aa", "mm"][Int($0.parameters.choice)]) }
    let reply = try await withServer(engine) { try await $0.post("/v1/completions", request(("best_of", 3), ("n", 2))) }
    #expect(reply.json["choices"]?.array?.compactMap { $0["text"]?.string } == ["aa", "mm"])
    #expect(reply.json["choices"]?.array?.compactMap { $0["index"]?.int } == [0, 1])
    #expect(reply.json["choices"]?.array?.first?["logprobs"]?.isNull == true)
    #expect(reply.json["usage"]?["completion_tokens"] == 9)
  }

  @Test func `echo puts the prompt in front, and may ask for nothing else`() async throws {
    let engine = ScriptedEngine()
    try await withServer(engine) {
      let reply = try await $0.post("/v1/completions", request(("echo", true)))
      #expect(reply.json["choices"]?.array?.first?["text"] == "Say Hello, world")
      let ids = try await $0.post("/v1/completions", request(("echo", true), ("prompt", [72, 105])))
      #expect(ids.json["choices"]?.array?.first?["text"] == "Hi Hello, world")
      let alone = try await $0.post("/v1/completions", request(("echo", true), ("max_tokens", 0)))
      #expect(alone.json["choices"]?.array?.first?["text"] == "Say")
      #expect(alone.json["choices"]?.array?.first?["finish_reason"] == "length")
      #expect(alone.json["usage"]?["completion_tokens"] == 0)
      #expect(engine.submissions.count == 2)
    }
  }

  @Test func `log-probabilities come as parallel arrays`() async throws {
    let reply = try await withServer(ScriptedEngine("h\u{e9}!")) {
      try await $0.post("/v1/completions", request(("logprobs", 2)))
    }
    let logprobs = reply.json["choices"]?.array?.first?["logprobs"]
    // é is two tokens, neither of which is a character.
    #expect(logprobs?["tokens"] == ["h", "\u{FFFD}", "\u{FFFD}", "!"])
    #expect(logprobs?["token_logprobs"] == [-0.8125, -1.5234375, -1.3203125, -0.2578125])
    #expect(logprobs?["text_offset"] == [0, 1, 2, 3])
    #expect(logprobs?["top_logprobs"]?.array?.first == ["a": 0.0, "b": -1.0, "h": -0.8125])
    let none = try await withServer { try await $0.post("/v1/completions", request(("logprobs", 0))) }
    #expect(none.json["choices"]?.array?.first?["logprobs"]?["top_logprobs"]?.isNull == true)
    #expect(none.json["choices"]?.array?.first?["logprobs"]?["tokens"]?.array?.count == 13)
  }

  @Test func `echo with logprobs scores the prompt, its first token by nothing, and may do only that`() async throws {
    try await withServer(ScriptedEngine("!")) {
      for (more, tokens, values, offsets) in [
        ([("max_tokens", 1)], ["<s>", "S", "a", "y", "!"], [nil, -0.6484375, -0.7578125, -0.9453125, -0.2578125], [0, 0, 1, 2, 3]),
        ([("max_tokens", 0)], ["<s>", "S", "a", "y"], [nil, -0.6484375, -0.7578125, -0.9453125], [0, 0, 1, 2]),
        (
          [("prompt", [104, 0xC3, 0xA9, 105])], ["h", "\u{FFFD}", "\u{FFFD}", "i", "!"],
          [nil, -1.5234375, -1.3203125, -0.8203125, -0.2578125], [0, 1, 1, 2, 3]
        ),
        ([("prompt", "x"), ("add_special_tokens", false), ("max_tokens", 0)], ["x"], [nil], [0]),
      ] as [([(String, JSONValue)], [JSONValue], [JSONValue], [JSONValue])] {
        for streams in [false, true] {
          var body = request(("echo", true), ("logprobs", 1), ("stream", .bool(streams))).object ?? [:]
          for (name, value) in more { body[name] = value }
          let reply = try await $0.post("/v1/completions", .object(body))
          let lists = (streams ? reply.chunks : [reply.json]).compactMap { $0["choices"]?.array?.first?["logprobs"] }
          func joined(_ name: String) -> [JSONValue] { lists.flatMap { $0[name]?.array ?? [] } }
          #expect(joined("tokens") == tokens)
          #expect(joined("token_logprobs") == values)
          #expect(joined("text_offset") == offsets)
          #expect(joined("top_logprobs").first?.isNull == true && joined("top_logprobs").count == tokens.count)
          let text = (streams ? reply.chunks : [reply.json]).compactMap { $0["choices"]?.array?.first?["text"]?.string }.joined()
          #expect(text.hasPrefix(more.contains { $0.0 == "prompt" } ? text.prefix(1) : "Say"))
          if tokens.last == "!" { #expect(text.hasSuffix("!") && text.unicodeScalars.count == (offsets.last?.int ?? 0) + 1) }
          if !streams { #expect(reply.json["usage"]?["completion_tokens"]?.int == (tokens.last == "!" ? 1 : 0) + (body["max_tokens"] == nil ? 1 : 0)) }
        }
      }
    }
  }

  @Test func `a prompt that is only scored may fill the whole sequence`() async throws {
    try await withServer {
      let full = JSONValue.ints(Array(repeating: 5, count: 1000))
      let scored = try await $0.post("/v1/completions", request(("prompt", full), ("echo", true), ("logprobs", 0), ("max_tokens", 0)))
      #expect(scored.status == 200)
      #expect(scored.json["choices"]?.array?.first?["logprobs"]?["tokens"]?.array?.count == 1000)
      #expect(try await $0.post("/v1/completions", request(("prompt", full), ("echo", true), ("logprobs", 0))).status == 400)
    }
  }

  @Test(arguments: [("18446744073709551615", UInt64.max), ("9223372036854775808", 1 << 63), ("-1", .max), ("0", 0)])
  func `any seed of 64 bits is taken`(text: String, seed: UInt64) async throws {
    let engine = ScriptedEngine()
    try await withServer(engine) {
      let reply = try await $0.send(.post, "/v1/completions", #"{"model": "tiny", "prompt": "a", "seed": \#(text)}"#)
      #expect(reply.status == 200)
    }
    #expect(engine.submissions.map(\.parameters.seed) == [seed])
  }

  @Test(arguments: ["18446744073709551616", "-9223372036854775809", "1.5", "1e30", "true"])
  func `a seed of more than 64 bits is refused with what is allowed`(text: String) async throws {
    try await withServer {
      let reply = try await $0.send(.post, "/v1/completions", #"{"model": "tiny", "prompt": "a", "seed": \#(text)}"#)
      #expect(reply.status == 400 && reply.error["param"] == "seed")
      #expect(
        reply.error["message"]?.string
          == "seed is \(text); it must be a whole number of 64 bits, from -9223372036854775808 to 18446744073709551615.")
    }
  }

  @Test func `detokenize false answers with ids`() async throws {
    let reply = try await withServer(ScriptedEngine("ok")) {
      try await $0.post("/v1/completions", request(("detokenize", false)))
    }
    #expect(reply.json["choices"]?.array?.first?["text"] == "")
    #expect(reply.json["choices"]?.array?.first?["token_ids"] == [111, 107])
  }

  @Test func `special tokens are shown only where asked for`() async throws {
    let engine = ScriptedEngine { _ in ScriptedEngine.Script(tokens: [104, 256, 105]) }
    try await withServer(engine) {
      let hidden = try await $0.post("/v1/completions", Self.prompt)
      #expect(hidden.json["choices"]?.array?.first?["text"] == "hi")
      let shown = try await $0.post("/v1/completions", request(("skip_special_tokens", false)))
      #expect(shown.json["choices"]?.array?.first?["text"] == "h<s>i")
    }
  }

  @Test func `an answer that breaks within a character ends with U+FFFD`() async throws {
    let engine = ScriptedEngine { _ in ScriptedEngine.Script(tokens: [104, 0xF0, 0x9F]) }
    let reply = try await withServer(engine) { try await $0.post("/v1/completions", Self.prompt) }
    #expect(reply.json["choices"]?.array?.first?["text"] == "h\u{FFFD}")
  }

  @Test func `an engine that fails is a 500 with its reason, and the next request is served`() async throws {
    let engine = ScriptedEngine { submission in
      var script = ScriptedEngine.Script("ab")
      if submission.promptIDs == [1] { script.error = ScriptedFailure(message: "rank 1 stopped") }
      return script
    }
    try await withServer(engine) {
      let reply = try await $0.post("/v1/completions", request(("prompt", [1])))
      #expect(reply.status == 500)
      #expect(reply.error["type"] == "server_error")
      #expect(reply.error["message"]?.string?.contains("rank 1 stopped") == true)
      #expect(try await $0.post("/v1/completions", request(("prompt", [2]))).status == 200)
    }
  }
}

extension SamplingParameters {
  fileprivate init(maximumTokens: Int) {
    self.init()
    self.maximumTokens = maximumTokens
  }
}
