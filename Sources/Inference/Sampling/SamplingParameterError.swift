/// A sampling parameter with a value outside its range.
public struct SamplingParameterError: Error, Hashable, CustomStringConvertible {
  /// Raw values are the names of the request fields.
  public enum Parameter: String, Sendable, CaseIterable {
    case temperature
    case topK = "top_k"
    case topP = "top_p"
    case minP = "min_p"
    case repetitionPenalty = "repetition_penalty"
    case presencePenalty = "presence_penalty"
    case frequencyPenalty = "frequency_penalty"
    case logitBias = "logit_bias"
    case maximumTokens = "max_tokens"
    case minimumTokens = "min_tokens"
    case stopTokenIDs = "stop_token_ids"
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
