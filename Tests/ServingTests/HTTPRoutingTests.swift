import HTTPTypes
import JSON
import Serving
import Testing

@Suite struct HTTPRoutingTests {
  @Test func `health, version and models answer as documented`() async throws {
    let engine = ScriptedEngine()
    try await withServer(engine) {
      let health = try await $0.get("/health")
      #expect(health.status == 200)
      #expect(health.text.isEmpty)
      #expect(try await $0.get("/version").json == ["version": "1.2.3"])
      let models = try await $0.get("/v1/models").json
      #expect(models["object"] == "list")
      #expect(models["data"]?.array?.count == 1)
      #expect(models["data"]?.array?.first?["id"] == "tiny")
      #expect(models["data"]?.array?.first?["object"] == "model")
      #expect(models["data"]?.array?.first?["owned_by"] == "tensorrt_llm")
      engine.health = .failed("rank 1 stopped")
      let failed = try await $0.get("/health")
      #expect(failed.status == 503)
      #expect(failed.error["message"]?.string?.contains("rank 1 stopped") == true)
      #expect(try await $0.post("/v1/completions", ["model": "tiny", "prompt": "a"]).status == 503)
    }
  }

  @Test func `health_generate generates one token`() async throws {
    let engine = ScriptedEngine { submission in
      var script = ScriptedEngine.Script("abc")
      if submission.promptIDs.count < 3 { script.error = ScriptedFailure(message: "x") }
      return script
    }
    let reply = try await withServer(engine) { try await $0.get("/health_generate") }
    #expect(reply.status == 200)
    #expect(engine.submissions.map(\.parameters.maximumTokens) == [1])
    let broken = ScriptedEngine { _ in
      var script = ScriptedEngine.Script("")
      script.error = ScriptedFailure(message: "rank 1 stopped")
      return script
    }
    let failed = try await withServer(broken) { try await $0.get("/health_generate") }
    #expect(failed.status == 500)
    #expect(failed.error["message"]?.string?.contains("rank 1 stopped") == true)
  }

  @Test func `tokenize and detokenize are each other's inverse`() async throws {
    try await withServer {
      let ids = try await $0.post("/tokenize", ["prompt": "né", "return_token_strs": true])
      #expect(
        ids.json == [
          "count": 4, "max_model_len": 1000, "tokens": [256, 110, 195, 169],
          "token_strs": ["<s>", "n", "\u{FFFD}", "\u{FFFD}"],
        ])
      #expect(try await $0.post("/tokenize", ["prompt": "n", "add_special_tokens": false]).json["tokens"] == [110])
      let chat = try await $0.post("/tokenize", ["messages": [["role": "user", "content": ""]]])
      #expect(chat.json["count"] == 17)
      #expect(try await $0.post("/detokenize", ["tokens": [256, 110, 195, 169]]).json == ["prompt": "<s>né"])
      #expect(
        try await $0.post("/detokenize", ["tokens": [256, 110], "skip_special_tokens": true]).json == ["prompt": "n"])
    }
  }

  @Test func `an unknown path is a 404 that names the known ones`() async throws {
    try await withServer {
      let reply = try await $0.get("/v1/completion")
      #expect(reply.status == 404)
      #expect(reply.error["message"]?.string?.contains("/v1/completions") == true)
    }
  }

  @Test func `a wrong method is a 405 that names the right one`() async throws {
    try await withServer {
      let reply = try await $0.get("/v1/completions")
      #expect(reply.status == 405)
      #expect(reply.headers[.allow] == "POST")
      #expect(reply.error["code"] == "method_not_allowed")
      #expect(try await $0.send(.delete, "/health").headers[.allow] == "GET")
    }
  }

  @Test(
    "a body of another type is a 415",
    arguments: [
      "application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "",
    ])
  func mediaType(type: String) async throws {
    try await withServer {
      let reply = try await $0.send(
        .post, "/v1/completions", "{\"model\":\"tiny\",\"prompt\":\"a\"}", headers: [.contentType: type])
      #expect(reply.status == 415)
      #expect(reply.error["code"] == "unsupported_media_type")
    }
  }

  @Test func `a JSON body passes with any spelling of its type, compressed bodies do not`() async throws {
    try await withServer {
      for type in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"] {
        let reply = try await $0.send(
          .post, "/v1/completions", "{\"model\":\"tiny\",\"prompt\":\"a\"}", headers: [.contentType: type])
        #expect(reply.status == 200)
      }
      let zipped = try await $0.send(.post, "/v1/completions", "{}", headers: [.contentEncoding: "gzip"])
      #expect(zipped.status == 415)
    }
  }

  @Test func `a body over the limit is a 413`() async throws {
    try await withServer(options: testOptions { $0.maximumBodyBytes = 100 }) {
      let reply = try await $0.send(.post, "/v1/completions", String(repeating: " ", count: 101))
      #expect(reply.status == 413)
      #expect(reply.headers[.connection] == "close")
      #expect(reply.error["message"]?.string?.contains("100 bytes") == true)
    }
  }

  @Test func `more requests than may run at once are told to come back`() async throws {
    let engine = ScriptedEngine { _ in
      var script = ScriptedEngine.Script("0123456789")
      script.delay = .milliseconds(200)
      return script
    }
    try await withServer(engine, options: testOptions { $0.maximumConcurrentAnswers = 1 }) { exchange in
      async let first = exchange.post("/v1/completions", ["model": "tiny", "prompt": "a"])
      try await eventually("the first request does not start") { engine.running == 1 }
      let second = try await exchange.post("/v1/completions", ["model": "tiny", "prompt": "a"])
      #expect(second.status == 429)
      #expect(second.headers[.retryAfter] == "1")
      #expect(try await first.status == 200)
      #expect(try await exchange.post("/v1/completions", ["model": "tiny", "prompt": "a"]).status == 200)
    }
  }

  @Test func `the model is found by its name, and no other`() async throws {
    for (name, path) in [("tiny", "tiny"), ("org/tiny", "org/tiny"), ("org/tiny", "org%2Ftiny"), ("a b%", "a%20b%25"), ("50%", "50%")] {
      try await withServer(options: testOptions { $0.modelName = name }) {
        let list = try await $0.get("/v1/models").json["data"]?.array
        let reply = try await $0.get("/v1/models/" + path)
        #expect(reply.status == 200 && reply.json == list?.first, "\(path)")
        #expect(reply.json["id"] == .string(name))
        for other in ["gpt-4", "tin", "org", "tiny/x", "%6"] {
          let missing = try await $0.get("/v1/models/" + other)
          #expect(missing.status == 404)
          #expect(missing.error["code"] == "model_not_found" && missing.error["param"] == "model")
          #expect(missing.error["message"]?.string?.contains("'\(other)' does not exist here; this server serves '\(name)'") == true)
        }
        let wrong = try await $0.send(.delete, "/v1/models/" + path)
        #expect(wrong.status == 405 && wrong.headers[.allow] == "GET")
      }
    }
  }

  @Test func `a request id is echoed where it is printable, else made`() async throws {
    let name = try #require(HTTPField.Name("x-request-id"))
    try await withServer {
      #expect(try await $0.send(.get, "/health", headers: [name: "abc-1"]).headers[name] == "abc-1")
      let made = try await $0.get("/health").headers[name]
      #expect(made?.wholeMatch(of: /req_[0-9a-f]{32}/) != nil)
      for bad in [String(repeating: "x", count: 129), "a b", "é"] {
        #expect(try await $0.send(.get, "/health", headers: [name: bad]).headers[name]?.hasPrefix("req_") == true)
      }
      #expect(try await $0.send(.get, "/nowhere", headers: [name: "abc-2"]).headers[name] == "abc-2")
    }
  }

  @Test func `the API key opens everything, and nothing but health and version opens without`() async throws {
    try await withServer(options: testOptions { $0.apiKey = Secret("s3cret") }) {
      #expect(try await $0.get("/health").status == 200)
      #expect(try await $0.get("/version").status == 200)
      for path in ["/v1/models", "/metrics", "/health_generate", "/nowhere"] {
        #expect(try await $0.get(path).status == 401)
      }
      for given in ["s3cret", "Bearer s3cre", "Bearer s3crets3cret", "Bearer ", "Basic s3cret", "Bearer S3cret"] {
        let reply = try await $0.send(.get, "/v1/models", headers: [.authorization: given])
        #expect(reply.status == 401, "\(given)")
        #expect(reply.error["code"] == "invalid_api_key")
        #expect(reply.headers[.wwwAuthenticate] == "Bearer")
      }
      for given in ["Bearer s3cret", "bearer s3cret"] {
        #expect(try await $0.send(.get, "/v1/models", headers: [.authorization: given]).status == 200)
      }
    }
  }

  @Test func `metrics are Prometheus text and count what happened`() async throws {
    try await withServer {
      _ = try await $0.post("/v1/completions", ["model": "tiny", "prompt": "a"])
      _ = try await $0.post("/v1/completions", ["model": "tiny", "prompt": 5])
      _ = try await $0.get("/nowhere")
      let reply = try await $0.get("/metrics")
      #expect(reply.headers[.contentType]?.hasPrefix("text/plain; version=0.0.4") == true)
      let lines = reply.text.split(separator: "\n").map(String.init)
      for line in [
        #"drydock_requests_total{path="/v1/completions",status="200"} 1"#,
        #"drydock_requests_total{path="/v1/completions",status="400"} 1"#,
        #"drydock_requests_total{path="other",status="404"} 1"#, "drydock_cache_use_ratio 0.25",
        "drydock_generated_tokens_total 13", "drydock_time_to_first_token_seconds_count 1",
        "drydock_token_interval_seconds_count 12", #"drydock_token_interval_seconds_bucket{le="+Inf"} 12"#,
        "drydock_requests_in_flight 1", #"drydock_weight_version_info{model="tiny",version="weights-1"} 1"#,
      ] { #expect(lines.contains(line), "no line '\(line)'") }
      // Every line is a comment, or a name with labels and a number.
      let shape = /(# (HELP|TYPE) .+)|([a-z_]+(\{[^}]*\})? -?[0-9.e+-]+)/
      #expect(lines.allSatisfy { $0.wholeMatch(of: shape) != nil })
    }
  }
}
