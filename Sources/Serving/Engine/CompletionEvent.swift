/// What happens while a sequence is generated, in order. The last event is `finished`, or the stream throws.
public enum CompletionEvent: Sendable, Hashable {
  /// How likely the prompt's tokens after the first were; comes first, where asked for.
  case promptScored([ChosenToken])
  /// One token of the answer. A token that ends the sequence is not delivered here, only in `finished`.
  case token(ChosenToken)
  /// Tokens from here on are chosen by other weights.
  case weightsChanged(version: String)
  case finished(CompletionEnd, CompletionUsage)
}

public struct ChosenToken: Sendable, Hashable {
  public var id: Int32
  /// Natural logarithm of the probability, where asked for.
  public var logProbability: Float?
  /// The most likely tokens, most likely first.
  public var alternatives: [TokenProbability]
  public init(id: Int32, logProbability: Float? = nil, alternatives: [TokenProbability] = []) {
    self.id = id
    self.logProbability = logProbability
    self.alternatives = alternatives
  }
}

public struct TokenProbability: Sendable, Hashable {
  public var id: Int32
  public var logProbability: Float
  public init(id: Int32, logProbability: Float) {
    self.id = id
    self.logProbability = logProbability
  }
}

public enum CompletionEnd: Sendable, Hashable {
  /// A stop token was chosen: the model's end of sequence, or one that the request named; nil where the engine ended
  /// the text for another reason.
  case stopToken(Int32?)
  /// As many tokens as allowed.
  case length
  case cancelled
}

public struct CompletionUsage: Sendable, Hashable {
  public var promptTokens: Int
  /// Prompt tokens whose keys and values were still in the cache; nil where the engine did not get to say.
  public var cachedPromptTokens: Int?
  /// Tokens chosen, one that ended the sequence included.
  public var generatedTokens: Int
  public init(promptTokens: Int, cachedPromptTokens: Int? = nil, generatedTokens: Int) {
    self.promptTokens = promptTokens
    self.cachedPromptTokens = cachedPromptTokens
    self.generatedTokens = generatedTokens
  }
}
