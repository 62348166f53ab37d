/// A sampling parameter with a value outside its range.
public struct SamplingParameterError: Error, Hashable, CustomStringConvertible {
  /// Raw values are the names of the request fields.
  public enum Parameter: String, Sendable, CaseIterable {
    /// At least 0.
    case temperature
    /// At least 0.
    case topK = "top_k"
    /// From 0 to 1.
    case topP = "top_p"
    /// From 0 to 1.
    case minP = "min_p"
    /// From 0.01 to 100.
    case repetitionPenalty = "repetition_penalty"
    /// From -100 to 100.
    case presencePenalty = "presence_penalty"
    /// From -100 to 100.
    case frequencyPenalty = "frequency_penalty"
    /// Token ids of the vocabulary, with values from -100 to 100.
    case logitBias = "logit_bias"
    /// At least 1.
    case maximumTokens = "max_tokens"
    /// From 0 to `max_tokens`.
    case minimumTokens = "min_tokens"
    /// Token ids of the vocabulary.
    case stopTokenIDs = "stop_token_ids"
    /// From 0 to the vocabulary's size.
    case logProbabilities = "logprobs"
  }
  /// The first that was found to be outside.
  public let parameter: Parameter
  /// The value as given.
  public let value: String
  /// What would have been accepted.
  public let allowed: String

  public var description: String { "\(parameter.rawValue) is \(value); give \(allowed)." }
}

/// Logits from which no token can be chosen.
public struct SamplingError: Error, Hashable, CustomStringConvertible {
  /// Why nothing can be chosen.
  public enum Problem: Sendable, Hashable {
    /// A logit is NaN or +infinity.
    case notFinite(tokenID: Int)
    /// Every token has probability 0.
    case nothingLeft
    /// The executor gave no logits though it was asked for them.
    case missing
    /// The executor gave another number of logits than it announced.
    case wrongCount(Int)
  }
  /// Of the next token of the answer.
  public let problem: Problem
  /// How many tokens the request had generated.
  public let generatedTokens: Int

  public var description: String {
    let place = "token \(generatedTokens + 1) of the answer"
    return switch problem {
    case .notFinite(let id):
      "The model's logit for token id \(id) at \(place) is NaN or infinite. The engine's weights hold a NaN or an infinity, "
        + "or are too large for its element type: check the checkpoint, or build in bfloat16 or float32."
    case .nothingLeft:
      "Every token has probability 0 at \(place). Check logit_bias, and the engine's weights for infinities."
    case .missing: "The executor gave no logits for \(place)."
    case .wrongCount(let count):
      "The executor gave \(count) logits for \(place), which is not the vocabulary size."
    }
  }
}
