import Foundation
import JSON
import Serving
import Testing

@Suite struct ChatTests {
  static let body: JSONValue = ["model": "tiny", "messages": [["role": "user", "content": "Hi"]]]

  func request(_ more: (String, JSONValue)...) -> JSONValue {
    var body = Self.body.object ?? [:]
    for (name, value) in more { body[name] = value }
    return .object(body)
  }
  func promptText(_ engine: ScriptedEngine) -> String {
    engine.detokenize(engine.submissions.last?.promptIDs ?? [], skipSpecialTokens: false)
  }

  @Test func `a reply has every field of OpenAI's shape`() async throws {
    let engine = ScriptedEngine("Ahoy")
    let reply = try await withServer(engine) { try await $0.post("/v1/chat/completions", Self.body) }
    #expect(reply.status == 200)
    #expect(promptText(engine) == "[user]Hi[assistant]")
    let json = reply.json
    #expect(json["id"]?.string?.wholeMatch(of: /chatcmpl-[0-9a-f]{32}/) != nil)
    #expect(json["object"] == "chat.completion")
    #expect(json["system_fingerprint"] == "weights-1")
    #expect(
      json["choices"] == [
        [
          "index": 0, "message": ["role": "assistant", "content": "Ahoy", "refusal": nil], "logprobs": nil,
          "finish_reason": "stop", "stop_reason": nil,
        ]
      ])
    #expect(json["usage"]?["prompt_tokens"] == 19)
    #expect(json["usage"]?["completion_tokens"] == 5)
  }

  @Test func `text parts become one text, roles and more keys reach the template`() async throws {
    let engine = ScriptedEngine()
    let messages: JSONValue = [
      ["role": "developer", "content": [["type": "text", "text": "Be"], ["type": "text", "text": "kind"]]],
      ["role": "assistant", "content": nil, "name": "x"], ["role": "pirate", "content": "Arr"],
    ]
    let reply = try await withServer(engine) {
      try await $0.post(
        "/v1/chat/completions",
        request(("messages", messages), ("add_generation_prompt", false), ("chat_template_kwargs", ["k": 1])))
    }
    #expect(reply.status == 200)
    #expect(promptText(engine) == "[developer]Be\nkind[assistant][pirate]Arr{\"k\":1}")
  }

  @Test func `special tokens are added to a template's text only where asked for`() async throws {
    let engine = ScriptedEngine()
    try await withServer(engine) {
      _ = try await $0.post("/v1/chat/completions", request(("add_special_tokens", true)))
    }
    #expect(promptText(engine) == "<s>[user]Hi[assistant]")
  }

  @Test func `prompt_token_ids replace the template's text`() async throws {
    let engine = ScriptedEngine()
    try await withServer(engine) {
      _ = try await $0.post("/v1/chat/completions", request(("prompt_token_ids", [1, 2, 3])))
    }
    #expect(engine.submissions.map(\.promptIDs) == [[1, 2, 3]])
  }

  @Test func `max_completion_tokens wins over its older name`() async throws {
    let engine = ScriptedEngine()
    try await withServer(engine) {
      _ = try await $0.post("/v1/chat/completions", request(("max_tokens", 3)))
      _ = try await $0.post("/v1/chat/completions", request(("max_tokens", 3), ("max_completion_tokens", 4)))
    }
    #expect(engine.submissions.map(\.parameters.maximumTokens) == [3, 4])
  }

  static let begun: JSONValue = [["role": "user", "content": "Hi"], ["role": "assistant", "content": "Well"]]

  @Test func `echo continues the assistant's last message, streamed or whole`() async throws {
    let engine = ScriptedEngine(", hi")
    try await withServer(engine) {
      let reply = try await $0.post("/v1/chat/completions", request(("messages", Self.begun), ("echo", true)))
      #expect(reply.json["choices"]?.array?.first?["message"]?["content"] == "Well, hi")
      #expect(promptText(engine) == "[user]Hi[assistant]Well")
      let stream = try await $0.post("/v1/chat/completions", request(("messages", Self.begun), ("echo", true), ("stream", true)))
      let text = stream.chunks.compactMap { $0["choices"]?.array?.first?["delta"]?["content"]?.string }.joined()
      #expect(text == "Well, hi")
    }
  }

  /// The templates of the tiny model and of SmolLM2, which close every message.
  private static func templates() throws -> [(source: String, opening: String)] {
    let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let tiny = try Data(contentsOf: tests.deletingLastPathComponent().appending(path: "Models/tiny/tokenizer_config.json"))
    let smol =
      "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    let system = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    return [(try JSONValue(parsing: Array(tiny))["chat_template"]?.string ?? "", ""), (smol, system)]
  }

  @Test(arguments: ["Well", "im_end", "Well, ", "\n1. ", ""])
  func `the template leaves the message open that echo continues`(content: String) async throws {
    let engine = ScriptedEngine("x")
    let messages: JSONValue = [["role": "user", "content": "Hi"], ["role": "assistant", "content": .string(content)]]
    try await withServer(engine, options: trusting) { server in
      for template in try Self.templates() {
        #expect(template.source.contains("im_end"))
        let reply = try await server.post(
          "/v1/chat/completions", request(("messages", messages), ("echo", true), ("chat_template", .string(template.source))))
        #expect(reply.status == 200, "\(reply.text)")
        #expect(promptText(engine) == template.opening + "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n" + content)
      }
    }
  }

  @Test func `a template that trims messages trims the one that echo continues`() async throws {
    let engine = ScriptedEngine("x")
    let messages: JSONValue = [["role": "user", "content": "Hi"], ["role": "assistant", "content": " Well "]]
    let template = JSONValue.string("{% for m in messages %}[{{ m.content | trim }}]{% endfor %}")
    try await withServer(engine, options: trusting) {
      let reply = try await $0.post("/v1/chat/completions", request(("messages", messages), ("echo", true), ("chat_template", template)))
      #expect(reply.status == 200 && promptText(engine) == "[Hi][Well")
    }
  }

  @Test func `a message that cannot be continued is refused, saying why`() async throws {
    try await withServer(options: trusting) {
      let user = try await $0.post("/v1/chat/completions", request(("echo", true)))
      #expect(user.status == 400 && user.error["param"] == "echo")
      #expect(user.error["message"]?.string?.contains("the last message is not the assistant's") == true)
      let hidden = try await $0.post(
        "/v1/chat/completions",
        request(("messages", Self.begun), ("echo", true), ("chat_template", "{% for m in messages %}{{ m.role }}{% endfor %}")))
      #expect(hidden.status == 400 && hidden.error["param"] == "echo")
      #expect(hidden.error["message"]?.string?.contains("cannot be continued") == true)
    }
  }

  @Test func `log-probabilities show each token with its bytes`() async throws {
    let reply = try await withServer(ScriptedEngine("\u{e9}")) {
      try await $0.post("/v1/chat/completions", request(("logprobs", true), ("top_logprobs", 1)))
    }
    let content = reply.json["choices"]?.array?.first?["logprobs"]?["content"]
    #expect(
      content == [
        [
          "token": "\u{FFFD}", "logprob": -1.5234375, "bytes": [195],
          "top_logprobs": [["token": "a", "logprob": 0.0, "bytes": [97]]],
        ],
        [
          "token": "\u{FFFD}", "logprob": -1.3203125, "bytes": [169],
          "top_logprobs": [["token": "a", "logprob": 0.0, "bytes": [97]]],
        ],
      ])
  }

  @Test func `n answers come in order`() async throws {
    let engine = ScriptedEngine { ScriptedEngine.Script("answer \($0.parameters.choice)") }
    let reply = try await withServer(engine) { try await $0.post("/v1/chat/completions", request(("n", 3))) }
    #expect(
      reply.json["choices"]?.array?.compactMap { $0["message"]?["content"]?.string } == ["answer 0", "answer 1", "answer 2"])
    #expect(reply.json["usage"]?["prompt_tokens"] == 19)
    #expect(reply.json["usage"]?["completion_tokens"] == 27)
  }

  @Test func `tools that are switched off or empty do no harm`() async throws {
    try await withServer {
      for more: (String, JSONValue) in [("tools", []), ("tool_choice", "none"), ("tool_choice", "auto"), ("tools", nil)] {
        #expect(try await $0.post("/v1/chat/completions", request(more)).status == 200)
      }
      let off = try await $0.post(
        "/v1/chat/completions", request(("tools", [["type": "function"]]), ("tool_choice", "none")))
      #expect(off.status == 200)
    }
  }

  @Test func `what the template objects to is the request's fault`() async throws {
    let reply = try await withServer(options: trusting) {
      try await $0.post("/v1/chat/completions", request(("chat_template", "{{ raise }}")))
    }
    #expect(reply.status == 400)
    #expect(reply.error["code"] == "chat_template_error")
    #expect(reply.error["message"]?.string?.contains("line 1: no") == true)
  }
}
