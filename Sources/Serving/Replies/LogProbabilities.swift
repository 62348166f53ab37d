import Inference
import JSON

/// Log-probabilities of chosen tokens as the chat endpoint shows them.
struct LogProbabilities {
  let engine: any CompletionEngine
  /// How many alternatives each token shows.
  let count: Int

  /// `{content: [{token, logprob, bytes, top_logprobs}]}`.
  func chat(_ tokens: [GeneratedToken]) -> JSONValue {
    let content = tokens.map { token -> JSONValue in
      var entry = describe(token.id, token.logProbability)
      entry["top_logprobs"] = .array(
        (token.top ?? []).prefix(count).map { .object(describe($0.id, $0.logProbability)) })
      return .object(entry)
    }
    return ["content": .array(content)]
  }

  private func describe(_ id: Int32, _ logProbability: Float?) -> JSONObject {
    let bytes = engine.bytes(of: id)
    return [
      "token": .string(String(decoding: bytes, as: UTF8.self)), "logprob": Self.number(logProbability),
      "bytes": .ints(bytes.map(Int.init)),
    ]
  }

  /// JSON knows no infinity; OpenAI writes -9999 for "as good as impossible".
  static func number(_ value: Float?) -> JSONValue {
    guard let value else { return nil }
    return .double(value.isFinite ? max(Double(value), -9999) : -9999)
  }
}
