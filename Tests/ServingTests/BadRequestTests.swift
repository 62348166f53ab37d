import JSON
import Serving
import Testing

/// A request that must be refused, the field it must be refused for, and a part of the message that says why.
struct BadField: Sendable, CustomTestStringConvertible {
  var fields: [(String, JSONValue)]
  var parameter: String?
  var message: String

  init(_ name: String, _ value: JSONValue, _ message: String, at parameter: String? = nil) {
    self.init([(name, value)], parameter ?? name, message)
  }
  init(_ fields: [(String, JSONValue)], _ parameter: String?, _ message: String) {
    self.fields = fields
    self.parameter = parameter
    self.message = message
  }
  var testDescription: String { JSONValue.object(JSONObject(fields, uniquingKeysWith: { $1 })).serialized() }

  func check(_ path: String, _ base: JSONObject, _ exchange: Exchange) async throws {
    var body = base
    for (name, value) in fields { body[name] = value }
    let reply = try await exchange.post(path, .object(body))
    #expect(reply.status == 400)
    #expect(reply.error["type"] == "invalid_request_error")
    #expect(reply.error["param"] == parameter.map { .string($0) } ?? JSONValue.null)
    let text = reply.error["message"]?.string ?? ""
    #expect(text.contains(message), "\(text)")
  }
}

@Suite struct BadRequestTests {
  static let completion: JSONObject = ["model": "tiny", "prompt": "Say"]
  static let chat: JSONObject = ["model": "tiny", "messages": [["role": "user", "content": "Hi"]]]

  /// Fields that both endpoints read alike.
  static let shared: [BadField] = [
    BadField("model", nil, "'model' is missing"),
    BadField("model", 5, "model is 5; it must be a string"),
    BadField("temperature", 2.5, "temperature is 2.5; it must be a number from 0 to 2"),
    BadField("temperature", "hot", "temperature is \"hot\""),
    BadField("top_p", 0, "top_p is 0; it must be a number above 0 and at most 1"),
    BadField("top_p", 1.5, "above 0 and at most 1"),
    BadField("top_k", -2, "top_k is -2"),
    BadField("top_k", 1.5, "whole number"),
    BadField("min_p", -0.1, "from 0 to 1"),
    BadField("repetition_penalty", 0, "from 0.01 to 100"),
    BadField("presence_penalty", 3, "from -2 to 2"),
    BadField("frequency_penalty", -3, "from -2 to 2"),
    BadField("logit_bias", [1], "must be an object"),
    BadField("logit_bias", ["x": 1], "key 'x'"),
    BadField("logit_bias", ["300": 1], "from 0 to 299"),
    BadField("logit_bias", ["3": 101], "from -100 to 100", at: "logit_bias[3]"),
    BadField("seed", 1.5, "whole number"),
    BadField("min_tokens", -1, "0 or more"),
    BadField([("min_tokens", 6), ("max_tokens", 5)], "min_tokens", "more than the 5 tokens"),
    BadField("ignore_eos", "yes", "true or false"),
    BadField("stop_token_ids", [1, 300], "stop_token_ids[1] is 300", at: "stop_token_ids[1]"),
    BadField("stop_token_ids", 5, "array of token ids"),
    BadField("stop_token_ids", .ints(Array(repeating: 1, count: 1025)), "holds 1025 ids; at most 1024"),
    BadField("logit_bias", .object(JSONObject(uniqueKeysWithValues: (0..<1025).map { ("\($0)", 1) })), "has 1025 entries; at most 1024"),
    BadField("stop", 5, "a string or an array of at most 16 strings"),
    BadField("stop", ["a", 5], "array of at most 16 strings"),
    BadField("stop", .strings((0..<17).map(String.init)), "at most 16"),
    BadField("stop", ["a", ""], "empty string"),
    BadField("stop", .string(String(repeating: "s", count: 1025)), "1025 bytes"),
    BadField("include_stop_str_in_output", 1, "true or false"),
    BadField("skip_special_tokens", 0, "true or false"),
    BadField("truncate_prompt_tokens", 0, "1 or more"),
    BadField("n", 0, "from 1 to 128"),
    BadField("n", 129, "from 1 to 128"),
    BadField("stream", "true", "true or false"),
    BadField("stream_options", ["include_usage": true], "only allowed with \"stream\": true"),
    BadField([("stream", true), ("stream_options", 5)], "stream_options", "must be an object"),
    BadField(
      [("stream", true), ("stream_options", ["include_usage": 5])], "stream_options.include_usage", "true or false"),
    BadField([("stream", true), ("stream_options", ["continuous_usage_stats": 5])], "stream_options.continuous_usage_stats", "true or false"),
    BadField("user", 5, "must be a string"),
    BadField("max_tokens", -2, "whole number of"),
    BadField("add_special_tokens", 5, "true or false"),
    BadField("echo", 5, "true or false"),
    BadField("length_penalty", "x", "a number"),
    BadField("response_format", ["type": "json_object"], "constrained decoding is not supported"),
    BadField("response_format", "json", "must be an object"),
    BadField("use_beam_search", true, "beam search is not supported"),
    BadField("return_context_logits", true, "context logits"),
    BadField("lora_request", ["lora_name": "x"], "refit the engine"),
    BadField("disaggregated_params", ["request_type": "context_only"], "disaggregated serving"),
    BadField("top_p_min", 0.5, "top_p decay"),
  ]

  @Test(
    "a completion field out of bounds is refused by name",
    arguments: shared + [
      BadField("prompt", nil, "'prompt' is missing"),
      BadField("prompt", 5, "prompt is 5; it must be a string"),
      BadField("prompt", [], "not empty"),
      BadField("prompt", [[]], "not empty", at: "prompt[0]"),
      BadField("prompt", ["a", 5], "a string or an array of token ids", at: "prompt[1]"),
      BadField("prompt", [1, 300], "prompt[1] is 300; it must be a token id from 0 to 299", at: "prompt[1]"),
      BadField("prompt", [[1, -1]], "prompt[0][1] is -1", at: "prompt[0][1]"),
      BadField([("prompt", ""), ("add_special_tokens", false)], "prompt", "no tokens"),
      BadField("max_tokens", 0, "max_tokens is 0"),
      BadField("logprobs", 21, "from 0 to 20"),
      BadField("logprobs", true, "whole number"),
      BadField([("n", 3), ("best_of", 2)], "best_of", "from 3 to 128"),
      BadField([("stream", true), ("best_of", 2)], "best_of", "streamed answer cannot wait"),
      BadField([("detokenize", false), ("stop", "x")], "stop", "stop_token_ids"),
      BadField("suffix", "end", "insertion is not supported"),
      BadField("prompt_ignore_length", 3, "whole answer"),
      BadField([("prompt", ["a", "b"]), ("n", 100)], "prompt", "make 200"),
      BadField("detokenize", 5, "true or false"),
    ])
  func completion(bad: BadField) async throws {
    try await withServer { try await bad.check("/v1/completions", Self.completion, $0) }
  }

  @Test(
    "a chat field out of bounds is refused by name",
    arguments: shared + [
      BadField("messages", nil, "'messages' is missing"),
      BadField("messages", "Hi", "messages is \"Hi\""),
      BadField("messages", [], "at least one message"),
      BadField("messages", ["Hi"], "must be an object with role and content", at: "messages[0]"),
      BadField("messages", [["content": "Hi"]], "messages[0].role is missing", at: "messages[0].role"),
      BadField("messages", [["role": "user"]], "messages[0].content is missing", at: "messages[0].content"),
      BadField("messages", [["role": "user", "content": 5]], "messages[0].content is 5", at: "messages[0].content"),
      BadField(
        "messages", [["role": "user", "content": [["type": "image_url"]]]], "reads only \"text\" parts",
        at: "messages[0].content[0].type"),
      BadField("messages", [["role": "user", "content": [5]]], "must be an object", at: "messages[0].content[0]"),
      BadField(
        "messages", [["role": "user", "content": [["type": "text"]]]], "text is missing", at: "messages[0].content[0].text"),
      BadField("max_completion_tokens", 0, "1 or more"),
      BadField("max_tokens", 0, "1 or more"),
      BadField("logprobs", 1, "true or false"),
      BadField("top_logprobs", 2, "only allowed with \"logprobs\": true"),
      BadField([("logprobs", true), ("top_logprobs", 21)], "top_logprobs", "from 0 to 20"),
      BadField("tools", [["type": "function"]], "tool calls are not supported"),
      BadField("tool_choice", "required", "tool calls are not supported"),
      BadField("functions", [["name": "f"]], "tool calls are not supported"),
      BadField([("n", 2), ("best_of", 3)], "best_of", "chat answers are not compared"),
      BadField("best_of", 2, "n is 1"),
      BadField("prompt_token_ids", [], "at least one"),
      BadField("prompt_token_ids", [300], "from 0 to 299", at: "prompt_token_ids[0]"),
      BadField("add_generation_prompt", 5, "true or false"),
      BadField("chat_template", 5, "must be a string"),
      BadField("chat_template", "{{ 1 }}", "--trust_request_chat_template"),
      BadField("chat_template_kwargs", 5, "must be an object"),
      BadField("chat_template_kwargs", ["messages": 5], "set by the request itself"),
      BadField("documents", 5, "must be an array"),
      BadField("reasoning_effort", "heroic", "\"low\""),
    ])
  func chat(bad: BadField) async throws {
    try await withServer { try await bad.check("/v1/chat/completions", Self.chat, $0) }
  }

  @Test(
    "tokenize and detokenize refuse by name",
    arguments: [
      ("/tokenize", BadField([], "prompt", "Neither 'prompt' nor 'messages'")),
      ("/tokenize", BadField("prompt", 5, "must be a string")),
      ("/tokenize", BadField([("prompt", "a"), ("messages", [])], "messages", "exclude each other")),
      ("/tokenize", BadField([("prompt", "a"), ("add_special_tokens", 5)], "add_special_tokens", "true or false")),
      ("/tokenize", BadField([("prompt", "a"), ("return_token_strs", 5)], "return_token_strs", "true or false")),
      ("/detokenize", BadField([], "tokens", "'tokens' is missing")),
      ("/detokenize", BadField("tokens", "a", "array of token ids")),
      ("/detokenize", BadField("tokens", [300], "from 0 to 299", at: "tokens[0]")),
      ("/detokenize", BadField([("tokens", [1]), ("skip_special_tokens", 5)], "skip_special_tokens", "true or false")),
    ])
  func tokens(path: String, bad: BadField) async throws {
    try await withServer { try await bad.check(path, [:], $0) }
  }

  @Test func `a model that is not served is a 404 of OpenAI's kind, whatever the endpoint`() async throws {
    try await withServer {
      for (path, body): (String, JSONValue) in [
        ("/v1/completions", ["model": "other", "prompt": "a"]),
        ("/v1/chat/completions", ["model": "other", "messages": [["role": "user", "content": "Hi"]]]),
        ("/tokenize", ["model": "other", "prompt": "a"]), ("/detokenize", ["model": "other", "tokens": [1]]),
      ] {
        let reply = try await $0.post(path, body)
        #expect(reply.status == 404)
        #expect(reply.error["code"] == "model_not_found")
        #expect(reply.error["message"] == "The model 'other' does not exist here; this server serves 'tiny'.")
      }
    }
  }

  @Test(
    "a body that is no JSON object is refused",
    arguments: [
      ("", "no body"), ("{", "no JSON: invalid JSON at byte 1"), ("[]", "is an array"), ("5", "is a number"),
      ("{\"model\":\"tiny\",\"model\":\"x\"}", "appears twice"), ("\u{0}", "no JSON"),
      (String(repeating: "[", count: 5000), "nested deeper than 64"),
    ])
  func body(text: String, message: String) async throws {
    try await withServer {
      let reply = try await $0.send(.post, "/v1/completions", text)
      #expect(reply.status == 400)
      #expect(reply.error["message"]?.string?.contains(message) == true, "\(reply.text)")
    }
  }

  @Test func `an unknown field does no harm`() async throws {
    var body = Self.chat
    body["frobnicate"] = [1, 2]
    body["store"] = true
    let request = JSONValue.object(body)
    #expect(try await withServer { try await $0.post("/v1/chat/completions", request) }.status == 200)
  }

  @Test func `no text a client sends breaks the reply's JSON`() async throws {
    try await withServer {
      let reply = try await $0.post("/v1/completions", ["model": "tiny", "prompt": "a", "stop": ["\"\\\n\u{1}\u{2028}", 5]])
      #expect(reply.status == 400)
      #expect(reply.error["param"] == "stop")
    }
  }
}
