import Inference
import JSON

/// Log-probabilities in the older shape, which completions have: parallel arrays.
struct CompletionLogProbabilities {
  let engine: any CompletionEngine
  /// How many alternatives each token shows.
  let count: Int
  private var names: [JSONValue] = []
  private var values: [JSONValue] = []
  private var offsets: [JSONValue] = []
  private var alternatives: [JSONValue] = []

  init(engine: any CompletionEngine, count: Int) {
    self.engine = engine
    self.count = count
  }

  /// A prompt's first token, which nothing came before: it has no probability.
  mutating func add(first id: Int32, at offset: Int) {
    names.append(.string(text(id)))
    values.append(nil)
    offsets.append(.int(offset))
    alternatives.append(nil)
  }

  /// - Parameter offset: Characters (Unicode scalars) of text before the token.
  /// - Returns: Characters of the token.
  @discardableResult
  mutating func add(_ token: GeneratedToken, at offset: Int) -> Int {
    let name = text(token.id)
    names.append(.string(name))
    values.append(LogProbabilities.number(token.logProbability))
    offsets.append(.int(offset))
    var most = JSONObject()
    for other in (token.top ?? []).prefix(count) { most[text(other.id)] = LogProbabilities.number(other.logProbability) }
    // The choice itself is always shown, likely or not.
    most[name] = LogProbabilities.number(token.logProbability)
    alternatives.append(.object(most))
    return name.unicodeScalars.count
  }

  var json: JSONValue {
    [
      "tokens": .array(names), "token_logprobs": .array(values),
      "top_logprobs": count == 0 ? nil : .array(alternatives), "text_offset": .array(offsets),
    ]
  }

  private func text(_ id: Int32) -> String { String(decoding: engine.bytes(of: id), as: UTF8.self) }
}
