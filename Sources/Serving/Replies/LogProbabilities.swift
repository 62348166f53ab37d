import JSON

/// Log-probabilities of chosen tokens in the two shapes that OpenAI gave them.
struct LogProbabilities {
  let engine: any CompletionEngine
  /// How many alternatives each token shows.
  let count: Int

  /// The chat endpoint's shape: `{content: [{token, logprob, bytes, top_logprobs}]}`.
  func chat(_ tokens: [ChosenToken]) -> JSONValue {
    let content = tokens.map { token -> JSONValue in
      var entry = describe(token.id, token.logProbability)
      entry["top_logprobs"] = .array(
        token.alternatives.prefix(count).map { .object(describe($0.id, $0.logProbability)) })
      return .object(entry)
    }
    return ["content": .array(content)]
  }

  /// The older shape: parallel arrays.
  ///
  /// - Parameter offset: Characters (Unicode scalars) of text before the first token; moved past the last.
  func completion(_ tokens: [ChosenToken], offset: inout Int) -> JSONValue {
    var names: [JSONValue] = []
    var values: [JSONValue] = []
    var offsets: [JSONValue] = []
    var alternatives: [JSONValue] = []
    for token in tokens {
      let name = text(token.id)
      names.append(.string(name))
      values.append(Self.number(token.logProbability))
      offsets.append(.int(offset))
      offset += name.unicodeScalars.count
      var most = JSONObject()
      for other in token.alternatives.prefix(count) { most[text(other.id)] = Self.number(other.logProbability) }
      // The choice itself is always shown, likely or not.
      most[name] = Self.number(token.logProbability)
      alternatives.append(.object(most))
    }
    return [
      "tokens": .array(names), "token_logprobs": .array(values),
      "top_logprobs": count == 0 ? nil : .array(alternatives), "text_offset": .array(offsets),
    ]
  }

  private func describe(_ id: Int32, _ logProbability: Float?) -> JSONObject {
    let bytes = engine.bytes(of: id)
    return [
      "token": .string(String(decoding: bytes, as: UTF8.self)), "logprob": Self.number(logProbability),
      "bytes": .ints(bytes.map(Int.init)),
    ]
  }

  private func text(_ id: Int32) -> String { String(decoding: engine.bytes(of: id), as: UTF8.self) }

  /// JSON knows no infinity; OpenAI writes -9999 for "as good as impossible".
  private static func number(_ value: Float?) -> JSONValue {
    guard let value else { return nil }
    return .double(value.isFinite ? max(Double(value), -9999) : -9999)
  }
}
