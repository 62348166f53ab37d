import Inference
import JSON
import Serving
import Testing

/// Replies say which weights made each choice.
@Suite(.timeLimit(.minutes(8))) struct WeightVersionTests {
  /// A loop whose tokens of steps 5 and on were chosen by other weights, as its log says.
  private func engine(changing: Bool = true) throws -> LoopCompletionEngine {
    let loop = try LoopEngine()
    let versions = WeightVersionLog("fp_a")
    if changing { versions.change(to: "fp_b", fromStep: 5) }
    return LoopCompletionEngine(loop: loop.loop, tokenizer: loop.tokenizer, versions: versions)
  }
  private let body: JSONValue = ["model": "tiny", "prompt": "Hi there", "temperature": 0, "max_tokens": 10, "ignore_eos": true]
  private let chat: JSONValue = [
    "model": "tiny", "messages": [["role": "user", "content": "Hi"]], "temperature": 0, "max_tokens": 10, "ignore_eos": true,
  ]
  private func streamed(_ body: JSONValue) -> JSONValue {
    var members = body.object ?? [:]
    members["stream"] = true
    return .object(members)
  }

  @Test func `a whole answer names all versions, and how many tokens are whose`() async throws {
    for (path, body) in [("/v1/completions", body), ("/v1/chat/completions", chat)] {
      let reply = try await withServer(try engine()) { try await $0.post(path, body) }
      #expect(reply.json["system_fingerprint"] == "fp_a+fp_b")
      #expect(
        reply.json["choices"]?.array?.first?["weight_versions"]
          == [["version": "fp_a", "tokens": 4], ["version": "fp_b", "tokens": 6]])
    }
  }

  @Test func `an answer of one version names that one`() async throws {
    let reply = try await withServer(try engine(changing: false)) { try await $0.post("/v1/completions", body) }
    #expect(reply.json["system_fingerprint"] == "fp_a")
    #expect(reply.json["choices"]?.array?.first?["weight_versions"] == nil)
  }

  @Test func `each part of a stream bears the version that chose its tokens`() async throws {
    for (path, body) in [("/v1/completions", streamed(body)), ("/v1/chat/completions", streamed(chat))] {
      let reply = try await withServer(try engine()) { try await $0.post(path, body) }
      let names = reply.chunks.dropFirst().compactMap { $0["system_fingerprint"]?.string }
      let first = names.prefix { $0 == "fp_a" }
      #expect(names.dropFirst(first.count).allSatisfy { $0 == "fp_b" } && !first.isEmpty && first.count < names.count)
    }
  }

  @Test func `a log finds the version of every step`() {
    let log = WeightVersionLog("a")
    log.change(to: "b", fromStep: 3)
    log.change(to: "c", fromStep: 3)
    log.change(to: "a", fromStep: 9)
    #expect((1...10).map { log.version(ofStep: $0) } == ["a", "a", "c", "c", "c", "c", "c", "c", "a", "a"])
    #expect(log.current == "a")
  }
}
