/// How tokens are chosen, and when to stop. The defaults sample from the model's own distribution.
///
/// Names and meanings follow OpenAI's and TensorRT-LLM's request fields.
public struct SamplingParameters: Sendable, Hashable {
  /// Divides logits. 0 (and anything below ``greedyBelow``) picks the most likely token, the lowest id among equals.
  public var temperature: Double = 1
  /// Keeps the `topK` most likely tokens; 0 keeps all.
  public var topK: Int = 0
  /// Keeps the smallest set of most likely tokens whose probabilities, after `topK`, sum to at least this; 1 keeps all.
  public var topP: Double = 1
  /// Drops tokens less likely than this share of the most likely one's probability; 0 drops none.
  public var minP: Double = 0
  /// Divides positive and multiplies negative logits of tokens that are in the prompt or were generated; 1 does nothing.
  public var repetitionPenalty: Double = 1
  /// Subtracted from the logits of tokens that were generated.
  public var presencePenalty: Double = 0
  /// Subtracted, times how often, from the logits of tokens that were generated.
  public var frequencyPenalty: Double = 0
  /// Added to the logits of these token ids.
  public var logitBias: [Int32: Double] = [:]
  /// Same seed, same parameters, same model: same tokens. `nil` takes a fresh one for each request.
  public var seed: UInt64? = nil
  /// Tells apart the choices of one request (`n`): same seed, other choice, other draws.
  public var choice: UInt32 = 0
  /// Most tokens to generate; `nil` generates until the sequence is as long as the engine allows.
  public var maximumTokens: Int? = nil
  /// Until this many tokens are generated, no stop token and no end of sequence is chosen.
  public var minimumTokens: Int = 0
  /// Generation ends when one of these is chosen.
  public var stopTokenIDs: Set<Int32> = []
  /// Treats the end of sequence as any other token.
  public var ignoreEndOfSequence: Bool = false
  /// How many most likely tokens to report with each chosen one; 0 reports the chosen one's log-probability only, `nil`
  /// reports nothing.
  public var logProbabilities: Int? = nil

  /// Temperatures below this are taken as 0: the quotients would leave float32's range.
  public static let greedyBelow = 1e-5

  /// Samples from the model's own distribution until an end of sequence, or until the engine can hold no more.
  public init() {}

  /// The most likely token, always.
  public static var greedy: SamplingParameters {
    var parameters = SamplingParameters()
    parameters.temperature = 0
    return parameters
  }

  /// Checks every value.
  /// - Parameter vocabularySize: Token ids must be below it.
  public func validate(vocabularySize: Int) throws(SamplingParameterError) {
    func require(
      _ condition: Bool, _ parameter: SamplingParameterError.Parameter, _ value: some CustomStringConvertible,
      _ allowed: String
    ) throws(SamplingParameterError) {
      guard condition else { throw .init(parameter: parameter, value: value.description, allowed: allowed) }
    }
    func requireToken(_ id: Int32, _ parameter: SamplingParameterError.Parameter) throws(SamplingParameterError) {
      try require(id >= 0 && id < vocabularySize, parameter, id, "a token id of at least 0 and below \(vocabularySize)")
    }
    try require(
      temperature.isFinite && temperature >= 0, .temperature, temperature,
      "a number of at least 0 (0 picks the most likely token)")
    try require(topK >= 0, .topK, topK, "a whole number of at least 0 (0 keeps all tokens)")
    try require(topP >= 0 && topP <= 1, .topP, topP, "a number from 0 to 1 (1 keeps all tokens)")
    try require(minP >= 0 && minP <= 1, .minP, minP, "a number from 0 to 1 (0 keeps all tokens)")
    try require(
      repetitionPenalty >= 0.01 && repetitionPenalty <= 100, .repetitionPenalty, repetitionPenalty,
      "a number from 0.01 to 100 (1 does nothing)")
    try require(
      presencePenalty >= -100 && presencePenalty <= 100, .presencePenalty, presencePenalty,
      "a number from -100 to 100 (0 does nothing)")
    try require(
      frequencyPenalty >= -100 && frequencyPenalty <= 100, .frequencyPenalty, frequencyPenalty,
      "a number from -100 to 100 (0 does nothing)")
    for (id, bias) in logitBias {
      try requireToken(id, .logitBias)
      try require(bias >= -100 && bias <= 100, .logitBias, "\(bias) for token \(id)", "numbers from -100 to 100")
    }
    if let maximumTokens {
      try require(maximumTokens >= 1, .maximumTokens, maximumTokens, "a whole number of at least 1")
      try require(
        minimumTokens <= maximumTokens, .minimumTokens, minimumTokens, "no more than max_tokens, \(maximumTokens)")
    }
    try require(minimumTokens >= 0, .minimumTokens, minimumTokens, "a whole number of at least 0")
    for id in stopTokenIDs { try requireToken(id, .stopTokenIDs) }
    if let logProbabilities {
      try require(
        logProbabilities >= 0 && logProbabilities <= vocabularySize, .logProbabilities, logProbabilities,
        "a whole number from 0 to the vocabulary size, \(vocabularySize)")
    }
  }
}
