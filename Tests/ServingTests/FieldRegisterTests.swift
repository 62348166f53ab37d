import HTTPTypes
import JSON
import Serving
import SystemPackage
import TestSupport
import Testing

/// Fields that other servers know: each is served, changes nothing, or is refused by name.
@Suite struct FieldRegisterTests {
  private static let refused = FieldRegister.rulings.compactMap { name, ruling -> (name: String, neutral: [JSONValue])? in
    if case .refused(let neutral, _) = ruling { (name, neutral) } else { nil }
  }.sorted { $0.name < $1.name }
  private static let ignored = HTTPField.Name("x-ignored-fields")!
  private static let paths = ["/v1/completions", "/v1/chat/completions"]
  private static func body(_ path: String, _ more: (String, JSONValue)...) -> JSONValue {
    var body = path == paths[0] ? BadRequestTests.completion : BadRequestTests.chat
    for (name, value) in more { body[name] = value }
    return .object(body)
  }

  @Test func `a field that would change the answer is refused by its name, and taken where it means nothing`() async throws {
    #expect(Self.refused.count > 80)
    try await withServer { server in
      for path in Self.paths {
        for (name, neutral) in Self.refused {
          let penalty: (String, JSONValue) = ("repetition_penalty", 1.1)  // without one, how far it looks back means nothing
          for value in ["x!", 7, ["a": [1]]] as [JSONValue] {
            let reply = try await server.post(path, Self.body(path, penalty, (name, value)))
            #expect(reply.status == 400 && reply.error["param"] == .string(name), "\(name) \(value): \(reply.text)")
            #expect(reply.error["message"]?.string?.hasPrefix("\(name) is ") == true, "\(reply.text)")
          }
          for value in neutral + [.null] {
            let reply = try await server.post(path, Self.body(path, penalty, (name, value)))
            #expect(reply.status == 200 && reply.headers[Self.ignored] == nil, "\(name) \(value): \(reply.text)")
          }
        }
      }
      for name in ["repeat_last_n", "penalize_nl"] {
        #expect(try await server.post(Self.paths[0], Self.body(Self.paths[0], (name, 64))).status == 200)
        for penalty in ["presence_penalty", "frequency_penalty"] {
          #expect(try await server.post(Self.paths[0], Self.body(Self.paths[0], (name, 64), (penalty, 1))).status == 400)
        }
      }
    }
    let penalized = testOptions { $0.samplingDefaults.repetitionPenalty = 1.1 }
    let reply = try await withServer(options: penalized) { try await $0.post(Self.paths[0], Self.body(Self.paths[0], ("repeat_last_n", 64))) }
    #expect(reply.status == 400, "the server's own")
  }

  @Test func `a field that changes nothing is taken whatever it holds`() async throws {
    try await withServer { server in
      for name in FieldRegister.harmless.keys {
        for value in ["x", 7, [:], true] as [JSONValue] {
          let reply = try await server.post(Self.paths[1], Self.body(Self.paths[1], (name, value)))
          #expect(reply.status == 200 && reply.headers[Self.ignored] == nil, "\(name)")
        }
      }
    }
  }

  @Test func `another name of a field is that field`() async throws {
    try await withServer { server in
      for path in Self.paths {
        for (name, value, own) in [
          ("max_new_tokens", 3, "max_tokens"), ("n_predict", 3, "max_tokens"), ("stop_sequences", ["lo"], "stop"), ("repeat_penalty", 200, "repetition_penalty"),
          ("min_new_tokens", -4, "min_tokens"), ("random_seed", 1.5, "seed"),
        ] as [(String, JSONValue, String)] {
          let (one, other) = (try await server.post(path, Self.body(path, (name, value))), try await server.post(path, Self.body(path, (own, value))))
          #expect(one.status == other.status && one.json["choices"] == other.json["choices"] && one.error == other.error, "\(name): \(one.text)")
          let without = try await server.post(path, Self.body(path))
          #expect(one.json["choices"] != without.json["choices"], "\(name) has an effect")
          #expect(try await server.post(path, Self.body(path, (name, value), (own, value))).status == one.status)
          let both = try await server.post(path, Self.body(path, (name, value), (own, 6)))
          #expect(both.status == 400 && both.error["param"] == .string(name) && both.text.contains("two names of one field"), "\(both.text)")
        }
        for (name, value, own, same) in [("n_predict", 3, "max_tokens", 3.0), ("stop_sequences", ["lo"], "stop", "lo")] as [(String, JSONValue, String, JSONValue)] {
          #expect(try await server.post(path, Self.body(path, (name, value), (own, same))).status == 200, "\(name)")
        }
        let three = try await server.post(path, Self.body(path, ("n_predict", 3), ("max_new_tokens", 4)))
        #expect(three.status == 400 && three.text.contains("two names of one field (max_tokens)"), "\(three.text)")
        for name in ["max_tokens", "n_predict"] {
          let (unlimited, without) = (try await server.post(path, Self.body(path, (name, -1))), try await server.post(path, Self.body(path)))
          #expect(unlimited.status == 200 && unlimited.json["choices"] == without.json["choices"])
        }
      }
    }
  }

  @Test func `a field that nobody knows is named in the reply, streamed or whole`() async throws {
    try await withServer { server in
      for path in Self.paths {
        for stream in [true, false] {
          let reply = try await server.post(path, Self.body(path, ("frobnicate", 1), ("stream", .bool(stream)), ("maxtokens", 2), ("a\r\nb: c", 3), ("x,y", 1), ("é", 1)))
          #expect(reply.status == 200 && reply.headers[Self.ignored] == "frobnicate, maxtokens, ?, ?, ?", "\(reply.headers)")
        }
        let many = try await server.post(path, Self.body(path, ("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1), ("f", 1), ("g", 1), ("h", 1), ("i", 1), ("j", 1), ("k", 1)))
        #expect(many.headers[Self.ignored] == "a, b, c, d, e, f, g, h, i, j, ...")
        #expect(try await server.post(path, Self.body(path)).headers[Self.ignored] == nil)
      }
    }
  }

  @Test func `the last message is continued without being repeated`() async throws {
    let engine = ScriptedEngine(" there")
    try await withServer(engine) { server in
      let messages: JSONValue = [["role": "user", "content": "Hi"], ["role": "assistant", "content": "Hello"]]
      let reply = try await server.post(Self.paths[1], Self.body(Self.paths[1], ("messages", messages), ("continue_final_message", true)))
      #expect(reply.json["choices"]?.array?.first?["message"]?["content"] == " there", "\(reply.text)")
      #expect(engine.detokenize(engine.submissions.last?.promptIDs ?? [], skipSpecialTokens: false) == "[user]Hi[assistant]Hello")
      let both = try await server.post(
        Self.paths[1], Self.body(Self.paths[1], ("messages", messages), ("continue_final_message", true), ("add_generation_prompt", true)))
      #expect(both.status == 400 && both.error["param"] == "continue_final_message")
      let ids = try await server.post(
        Self.paths[1], Self.body(Self.paths[1], ("messages", messages), ("continue_final_message", true), ("prompt_token_ids", [1])))
      #expect(ids.status == 400 && ids.error["param"] == "continue_final_message")
    }
  }

  /// What a page of another site can send without being asked whether it may.
  @Test func `a body without a type is refused`() async throws {
    let engine = ScriptedEngine()
    try await withServer(engine) { server in
      let body = Self.body(Self.paths[0]).serialized()
      for type in ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let reply = try await server.send(.post, Self.paths[0], body, headers: [.contentType: type])
        #expect(reply.status == 415 && reply.text.contains("Content-Type: application/json"), "\(type): \(reply.text)")
      }
      #expect(try await server.sendUntyped(Self.paths[0], body).status == 415)
    }
    #expect(engine.submissions.isEmpty)
  }

  @Test func `the documents name every field of the register`() throws {
    let root = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
    let text = String(decoding: try #require(contents(root.appending("docs/serving.md"))), as: UTF8.self)
    for name in FieldRegister.rulings.keys { #expect(text.contains("`\(name)`"), "docs/serving.md does not name \(name)") }
  }
}
