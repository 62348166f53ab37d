/// What a request's stream delivers: the prompt's scores where asked for, any number of tokens, one `finished`, the
/// stream's end; from ``VersionedEvents`` also which weights made the choices.
public enum GenerationEvent: Sendable, Hashable {
  /// How likely each prompt token after the first was, in order; all by the same weights. Comes once.
  case promptScored([GeneratedToken])
  /// The next token of the answer. A token that ends the sequence is not delivered here but in `finished`.
  case token(GeneratedToken)
  /// Choices from here on were made by these weights; in the streams of ``VersionedEvents``, the first time too.
  case weightsChanged(version: String)
  /// Why it ended and what it took; the last event.
  case finished(FinishReason, Usage)
}

/// Why an answer ended without an error.
public enum FinishReason: Sendable, Hashable {
  /// A stop token or the end of sequence was chosen; `nil` where something else ended the text, as a stop string.
  case stop(tokenID: Int32?)
  /// As many tokens as asked for, or as the engine can hold.
  case length
  /// The loop was stopped without waiting for the request.
  case cancelled
}

/// What a request took.
public struct Usage: Sendable, Hashable {
  /// Tokens of the whole prompt, found in the cache or computed.
  public var promptTokens: Int
  /// Prompt tokens whose keys and values an earlier request had left in the cache.
  public var cachedPromptTokens: Int
  /// Chosen tokens, with the one that ended the sequence.
  public var generatedTokens: Int
  /// From submission until the request first ran.
  public var queueSeconds: Double
  /// From there to the first token.
  public var prefillSeconds: Double
  /// From the first token to the last.
  public var decodeSeconds: Double
  /// Number of the engine step that made the last choice; 0 where there was none. See ``GeneratedToken/step``.
  public var lastStep: UInt64

  /// Durations in seconds.
  public init(
    promptTokens: Int, cachedPromptTokens: Int, generatedTokens: Int, queueSeconds: Double = 0,
    prefillSeconds: Double = 0, decodeSeconds: Double = 0, lastStep: UInt64 = 0
  ) {
    self.promptTokens = promptTokens
    self.cachedPromptTokens = cachedPromptTokens
    self.generatedTokens = generatedTokens
    self.queueSeconds = queueSeconds
    self.prefillSeconds = prefillSeconds
    self.decodeSeconds = decodeSeconds
    self.lastStep = lastStep
  }
}
