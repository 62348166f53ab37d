import Inference
import JSON
import Tokenizers

/// The fields that both completion endpoints share: how tokens are chosen, when an answer ends, how it is sent.
struct SamplingFields: Sendable {
  /// `maximumTokens` is filled in once the prompt's length is known.
  var parameters = SamplingParameters()
  /// As asked for, 0 among them; after ``settle(promptLength:limits:)`` as many as there can be.
  var maximumTokens: Int?
  /// Whether to report first how likely the prompt's own tokens were.
  var scoresPrompt = false
  var stopStrings: [String] = []
  var includesStopInOutput = false
  var skipsSpecialTokens = true
  /// Keep only the last so many prompt tokens.
  var truncatesPromptTo: Int?
  var choiceCount = 1
  /// Answers to make, of which the likeliest `choiceCount` are returned.
  var candidateCount = 1
  var stream: StreamFields?
}

/// How a streamed answer reports its token counts.
struct StreamFields: Sendable, Hashable {
  var includesUsage = false
  var reportsUsageContinuously = false
}

/// Bounds that the fields are checked against.
struct RequestLimits: Sendable {
  var engine: EngineLimits
  var maximumChoices: Int
  /// Whether a request may bring a chat template of its own.
  var trustsTemplates = false
  /// What counts where a request does not say how tokens are chosen.
  var defaults = SamplingDefaults()
  static let maximumStopStrings = 16
  static let maximumStopStringBytes = 1024
  static let maximumAlternatives = 20
  /// Entries of `logit_bias`, and `stop_token_ids`: each is looked at for every token that is chosen.
  static let maximumTokenRules = 1024
  static let maximumTemplateBytes = 256 << 10
  /// Log-probabilities of prompts that one request may ask for.
  static let maximumPromptScores = 1 << 20
}

extension SamplingFields {
  init(_ reader: FieldReader, limits: RequestLimits) throws(APIError) {
    parameters.temperature = try reader.number("temperature", in: 0...2) ?? limits.defaults.temperature ?? 1
    parameters.topP = try reader.number("top_p", in: 0...1, excludesLowerBound: true) ?? limits.defaults.topP ?? 1
    parameters.topK = try reader.integer("top_k", in: -1...Int.max).map { max($0, 0) } ?? limits.defaults.topK ?? 0
    parameters.minP = try reader.number("min_p", in: 0...1) ?? limits.defaults.minP ?? 0
    parameters.repetitionPenalty = try reader.number("repetition_penalty", in: 0.01...100) ?? limits.defaults.repetitionPenalty ?? 1
    parameters.presencePenalty = try reader.number("presence_penalty", in: -2...2) ?? 0
    parameters.frequencyPenalty = try reader.number("frequency_penalty", in: -2...2) ?? 0
    parameters.logitBias = try Self.logitBias(reader, vocabularySize: limits.engine.vocabularySize)
    parameters.seed = try reader.seed("seed")
    parameters.minimumTokens = try reader.integer("min_tokens", in: 0...Int.max) ?? 0
    parameters.ignoreEndOfSequence = try reader.bool("ignore_eos")
    let stopTokens = try reader.tokens("stop_token_ids", vocabularySize: limits.engine.vocabularySize) ?? []
    parameters.stopTokenIDs = Set(stopTokens.prefix(RequestLimits.maximumTokenRules))
    if stopTokens.count > RequestLimits.maximumTokenRules {
      throw .invalid(
        "stop_token_ids", "stop_token_ids holds \(stopTokens.count) ids; at most \(RequestLimits.maximumTokenRules) are allowed.")
    }
    stopStrings = try reader.strings("stop", limit: RequestLimits.maximumStopStrings)
    if stopStrings.contains("") {
      throw .invalid("stop", "stop holds an empty string, which would end every answer at once; leave it out.")
    }
    if let long = stopStrings.first(where: { $0.utf8.count > RequestLimits.maximumStopStringBytes }) {
      throw .invalid(
        "stop",
        "stop holds a string of \(long.utf8.count) bytes; at most \(RequestLimits.maximumStopStringBytes) are allowed.")
    }
    includesStopInOutput = try reader.bool("include_stop_str_in_output")
    skipsSpecialTokens = try reader.bool("skip_special_tokens", default: true)
    truncatesPromptTo = try reader.integer("truncate_prompt_tokens", in: 1...Int.max)
    choiceCount = try reader.integer("n", in: 1...limits.maximumChoices) ?? 1
    candidateCount = choiceCount
    stream = try Self.stream(reader)
    _ = try reader.string("user")
    try Self.refuseUnsupported(reader)
  }

  private static func logitBias(_ reader: FieldReader, vocabularySize: Int) throws(APIError) -> [Int32: Double] {
    guard let members = try reader.object("logit_bias") else { return [:] }
    if members.count > RequestLimits.maximumTokenRules {
      throw .invalid(
        "logit_bias", "logit_bias has \(members.count) entries; at most \(RequestLimits.maximumTokenRules) are allowed.")
    }
    var bias: [Int32: Double] = [:]
    for (key, value) in members {
      guard let id = Int32(key), (0..<vocabularySize).contains(Int(id)) else {
        throw .invalid(
          "logit_bias", "logit_bias has the key '\(key)'; keys must be token ids from 0 to \(vocabularySize - 1).")
      }
      guard let amount = value.double, (-100...100).contains(amount) else {
        throw reader.wrong("logit_bias[\(key)]", value, allowed: "a number from -100 to 100")
      }
      bias[id] = amount
    }
    return bias
  }

  private static func stream(_ reader: FieldReader) throws(APIError) -> StreamFields? {
    let streams = try reader.bool("stream")
    let options = try reader.object("stream_options")
    guard streams else {
      if options != nil { throw .invalid("stream_options", "stream_options is only allowed with \"stream\": true.") }
      return nil
    }
    guard let options else { return StreamFields() }
    var inner = FieldReader(options, path: "stream_options.")
    return StreamFields(
      includesUsage: try inner.bool("include_usage"),
      reportsUsageContinuously: try inner.bool("continuous_usage_stats"))
  }

  /// Upstream's fields whose effect this server does not have. Ignoring one would answer another question than the
  /// one that was asked.
  private static func refuseUnsupported(_ reader: FieldReader) throws(APIError) {
    if let format = try reader.object("response_format"), format["type"] != "text" {
      let type = format["type"].map(FieldReader.show) ?? "missing"
      throw .unsupported(
        "response_format", "response_format.type is \(type), but constrained decoding is not supported yet; only \"text\" is.")
    }
    try reader.refuse("use_beam_search", unless: false, because: "beam search is not supported; use n or best_of")
    try reader.refuse("return_context_logits", unless: false, because: "context logits are not kept")
    try reader.refuse("lora_request", because: "adapters are not chosen per request; refit the engine instead")
    try reader.refuse("disaggregated_params", because: "disaggregated serving is not supported")
    try reader.refuse("top_p_min", unless: 0, 0.0, because: "top_p decay is not supported")
    // Only beam search looks at these.
    _ = try reader.number("length_penalty", in: -.greatestFiniteMagnitude ... .greatestFiniteMagnitude)
    _ = reader.value("early_stopping")
    _ = reader.value("spaces_between_special_tokens")
  }

  /// Fills in how many tokens an answer may have.
  ///
  /// More than fits after the prompt is cut to what fits, as upstream does; the answer's finish reason is then `length`.
  mutating func settle(promptLength: Int, limits: EngineLimits) throws(APIError) {
    let room = limits.maximumSequenceLength - promptLength
    // A prompt that is only scored, or only comes back, may fill the whole sequence.
    guard room > 0 || (room == 0 && maximumTokens == 0) else {
      throw .invalid(
        nil,
        "The prompt has \(promptLength) tokens; with at least one token of answer it must stay within"
          + " \(limits.maximumSequenceLength) tokens. Shorten it, or set truncate_prompt_tokens.",
        code: "context_length_exceeded")
    }
    let most = min(maximumTokens ?? room, room)
    if parameters.minimumTokens > most {
      throw .invalid(
        "min_tokens", "min_tokens is \(parameters.minimumTokens), more than the \(most) tokens that the answer may have.")
    }
    maximumTokens = most
    parameters.maximumTokens = max(1, most)  // none is what ``promptScores`` says
  }

  /// Of a request whose lengths are settled.
  var promptScores: PromptScores { !scoresPrompt ? .none : maximumTokens == 0 ? .withoutAnswer : .beforeAnswer }

  func truncated(_ prompt: [Int32]) -> [Int32] {
    guard let limit = truncatesPromptTo, prompt.count > limit else { return prompt }
    return Array(prompt.suffix(limit))
  }

  /// The parameters of candidate `index`: the same, but for what it draws.
  func parameters(candidate index: Int) -> SamplingParameters {
    var parameters = parameters
    parameters.choice = UInt32(index)
    return parameters
  }
}
