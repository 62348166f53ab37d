import JSON

/// Token counts of a whole request.
struct TokenCounts: Sendable, Hashable {
  var promptTokens = 0
  var completionTokens = 0
  /// Nil where no answer's engine said.
  var cachedTokens: Int?

  var json: JSONValue {
    [
      "prompt_tokens": .int(promptTokens), "completion_tokens": .int(completionTokens),
      "total_tokens": .int(promptTokens + completionTokens),
      "prompt_tokens_details": cachedTokens.map { ["cached_tokens": .int($0)] } ?? nil,
    ]
  }

  /// - Parameter prompts: Lengths. A prompt counts once, however many answers it gets.
  init(prompts: [Int]) { promptTokens = prompts.reduce(0, +) }

  /// Counts an answer that has ended.
  ///
  /// - Parameter isFirstOfPrompt: Cached tokens count once for each prompt; later answers to it find it cached by the first.
  mutating func add(_ end: AnswerEnd, isFirstOfPrompt: Bool) {
    completionTokens += end.generatedTokens
    if isFirstOfPrompt, let cached = end.cachedPromptTokens { cachedTokens = (cachedTokens ?? 0) + cached }
  }
}
