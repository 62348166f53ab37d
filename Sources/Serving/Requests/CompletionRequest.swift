import JSON

/// The body of `POST /v1/completions`.
struct CompletionRequest: Sendable {
  enum Prompt: Sendable, Hashable {
    case text(String)
    case tokens([Int32])
  }
  var model: String
  var prompts: [Prompt]
  var echo: Bool
  var addsSpecialTokens: Bool
  /// False answers with token ids and no text.
  var detokenizes: Bool
  var sampling: SamplingFields
  var unknownFields: [String]
}

extension CompletionRequest {
  init(_ body: JSONObject, limits: RequestLimits) throws(APIError) {
    let reader = FieldReader(try FieldRegister.withServedNames(body))
    guard let model = try reader.string("model") else { throw reader.missing("model", "The field 'model' is missing.") }
    self.model = model
    prompts = try Self.prompts(reader, limits: limits)
    echo = try reader.bool("echo")
    addsSpecialTokens = try reader.bool("add_special_tokens", default: true)
    detokenizes = try reader.bool("detokenize", default: true)
    sampling = try SamplingFields(reader, limits: limits)
    // 0 tokens only make sense where the prompt comes back.
    sampling.maximumTokens = try reader.tokenCount("max_tokens", from: echo ? 0 : 1)
    sampling.parameters.logProbabilities = try reader.integer("logprobs", in: 0...RequestLimits.maximumAlternatives)
    sampling.scoresPrompt = echo && sampling.parameters.logProbabilities != nil
    if let best = try reader.integer("best_of", in: sampling.choiceCount...max(limits.maximumChoices, sampling.choiceCount)) {
      sampling.candidateCount = best
    }
    try reader.refuse("suffix", unless: "", because: "insertion is not supported")
    try reader.refuse("prompt_ignore_length", unless: 0, because: "penalties always look at the whole answer")
    unknownFields = try FieldRegister.check(reader, sampling.parameters)
    try checkCombinations(limits: limits)
  }

  private func checkCombinations(limits: RequestLimits) throws(APIError) {
    if sampling.stream != nil, sampling.candidateCount > sampling.choiceCount {
      throw .invalid(
        "best_of",
        "best_of is \(sampling.candidateCount) and n is \(sampling.choiceCount), but a streamed answer cannot wait to see which is best; make them equal or do not stream."
      )
    }
    if !detokenizes, !sampling.stopStrings.isEmpty {
      throw .invalid("stop", "stop needs text, but detokenize is false; use stop_token_ids.")
    }
    let total = prompts.count * sampling.candidateCount
    if total > limits.maximumChoices {
      throw .invalid(
        prompts.count > 1 ? "prompt" : "n",
        "\(prompts.count) prompts with \(sampling.candidateCount) answers each make \(total); one request may ask for at most \(limits.maximumChoices)."
      )
    }
  }

  private static func prompts(_ reader: FieldReader, limits: RequestLimits) throws(APIError) -> [Prompt] {
    let allowed = "a string, an array of strings, an array of token ids, or an array of such arrays"
    guard let value = reader.value("prompt") else { throw reader.missing("prompt", "The field 'prompt' is missing; it must be \(allowed).") }
    if let text = value.string { return [.text(text)] }
    guard let elements = value.array, let first = elements.first else {
      throw reader.wrong("prompt", value, allowed: allowed + ", not empty")
    }
    let vocabulary = limits.engine.vocabularySize
    if case .number = first {
      return [.tokens(try reader.tokens(elements, name: "prompt", vocabularySize: vocabulary))]
    }
    var prompts: [Prompt] = []
    for (index, element) in elements.enumerated() {
      switch element {
      case .string(let text): prompts.append(.text(text))
      case .array(let ids) where !ids.isEmpty:
        prompts.append(.tokens(try reader.tokens(ids, name: "prompt[\(index)]", vocabularySize: vocabulary)))
      default: throw reader.wrong("prompt[\(index)]", element, allowed: "a string or an array of token ids, not empty")
      }
    }
    return prompts
  }
}
