public import Execution

/// Why a request was not taken. Nothing of it remains in the loop.
public enum SubmitError: Error, Hashable, CustomStringConvertible {
  /// A prompt without tokens.
  case emptyPrompt
  /// The prompt leaves no room for an answer.
  case promptTooLong(tokens: Int, limit: Int, isLimitOfCache: Bool = false)
  /// A prompt token, counted from 0, that the model does not have.
  case tokenOutOfRange(index: Int, id: Int32, vocabularySize: Int)
  /// A sampling parameter outside its range.
  case parameter(SamplingParameterError)
  /// As many requests wait as may; come back later.
  case queueFull(waiting: Int, limit: Int)
  /// The loop takes no more requests.
  case stopping

  public var description: String {
    switch self {
    case .emptyPrompt: "The prompt has no tokens; give at least one."
    case .promptTooLong(let tokens, let limit, let isLimitOfCache):
      "The prompt has \(tokens) tokens; this engine takes at most \(limit), so that an answer has room. Shorten it, or "
        + (isLimitOfCache
          ? "give the cache more memory with --kv_cache_size."
          : "raise --max_seq_len where it was given, here or when the engine was built; a model with a sliding window goes no further than it.")
    case .tokenOutOfRange(let index, let id, let size):
      "Token \(index) of the prompt is \(id); the model's token ids are at least 0 and below \(size). Leave that token out, or use the model's own tokenizer."
    case .parameter(let error): error.description
    case .queueFull(let waiting, let limit):
      "\(waiting) requests are waiting, and no more than \(limit) may. Try again later."
    case .stopping: "The engine is shutting down and takes no more requests."
    }
  }
}

/// What went wrong with the loop itself.
public enum EngineLoopError: Error, Hashable, CustomStringConvertible {
  /// The executor's limits leave no room to run anything.
  case unusableLimits(ExecutorLimits)
  /// The system gave no thread for the loop.
  case threadNotStarted(errno: Int32)
  /// The loop has ended, so nothing can be performed between its steps.
  case stopped

  public var description: String {
    switch self {
    case .unusableLimits(let limits):
      "The engine must take sequences of at least 2 tokens and one of them at a time; it takes \(limits.maximumSequenceLength) tokens and \(limits.maximumSequences) at a time. Raise "
        + [(limits.maximumSequenceLength < 2, "--max_seq_len"), (limits.maximumSequences < 1, "--max_batch_size")].filter(\.0).map(\.1).joined(separator: " and ") + "."
    case .threadNotStarted(let errno):
      "The engine's thread could not be started: pthread_create failed, errno \(errno). Check the limit of threads."
    case .stopped: "The engine loop has ended."
    }
  }
}
