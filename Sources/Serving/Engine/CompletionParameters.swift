/// How tokens of one sequence are chosen, and when it ends.
public struct CompletionParameters: Sendable, Hashable {
  /// 0 takes the most likely token always.
  public var temperature = 1.0
  /// Most likely tokens to choose from; 0 is all.
  public var topK = 0
  /// Choose from the smallest set of tokens whose probabilities reach this sum.
  public var topP = 1.0
  /// Drop tokens less likely than this share of the most likely one.
  public var minP = 0.0
  /// Divides (or multiplies, below 0) logits of tokens seen in prompt or answer.
  public var repetitionPenalty = 1.0
  /// Taken once from logits of tokens seen in the answer.
  public var presencePenalty = 0.0
  /// Taken from logits once for each time a token occurs in the answer.
  public var frequencyPenalty = 0.0
  /// Added to logits.
  public var logitBias: [Int32: Double] = [:]
  /// The same seed, prompt and parameters give the same tokens; nil takes a random one.
  public var seed: UInt64?
  /// Tells apart the answers to one prompt: same seed, other choice, other draws.
  public var choice: UInt32 = 0
  /// 1 or more; 0 where only the prompt is scored.
  public var maximumTokens: Int
  /// No stop token is chosen before so many tokens.
  public var minimumTokens = 0
  public var stopTokenIDs: Set<Int32> = []
  public var ignoresEndOfSequence = false
  /// How many of the most likely tokens to report beside each choice; 0 reports the choice's own log-probability,
  /// nil nothing.
  public var logProbabilityCount: Int?
  /// Whether to report first how likely the prompt's own tokens were.
  public var scoresPrompt = false

  public init(maximumTokens: Int) { self.maximumTokens = maximumTokens }
}
