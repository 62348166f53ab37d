public import Inference
public import JSON
public import Tokenizers

/// What the server needs from whatever makes tokens.
///
/// The server knows HTTP, OpenAI's types and text; it does not know models, caches or threads. A scripted
/// conformer serves the tests; ``LoopCompletionEngine`` joins an engine loop and a tokenizer.
public protocol CompletionEngine: Sendable {
  /// Does not change while the engine serves.
  var limits: EngineLimits { get }
  /// Whether requests can be answered now, for `/health`.
  var health: EngineHealth { get }
  /// Names the weights that the next request will be answered with; clients see it as `system_fingerprint`.
  var weightVersion: String { get }
  /// Steps, tokens and requests so far, for `/metrics`.
  var statistics: LoopStatistics { get }
  /// Bytes a second at which the machine reads weights at best, where measured: what the statistics' rate of recent steps is held to.
  var memoryReadRate: Double? { get }

  /// - Parameter addSpecialTokens: Adds what the tokenizer adds around a text, such as a beginning-of-sequence token.
  /// - Throws: `WorkBudget/Exceeded` soon after the budget is spent.
  func tokenize(_ text: String, addSpecialTokens: Bool, budget: WorkBudget) throws -> [Int32]
  /// The text of token ids; bytes that form no character become U+FFFD.
  func detokenize(_ ids: [Int32], skipSpecialTokens: Bool) -> String
  /// The bytes one token stands for; part of a character where the token is one.
  func bytes(of token: Int32) -> [UInt8]
  /// A decoder for one answer.
  func makeTextDecoder(skipSpecialTokens: Bool) -> any TextDecoder
  /// The prompt text of a conversation, special tokens included.
  func applyChatTemplate(_ conversation: Conversation, budget: WorkBudget) throws -> String

  /// Starts one sequence. Letting go of the events, or cancelling the task that waits for one, ends it at the engine's
  /// next step.
  ///
  /// - Throws: ``EngineRefusal`` where the sequence cannot be taken on.
  func generate(promptIDs: [Int32], sampling: SamplingParameters, promptScores: PromptScores) throws -> CompletionEvents
}

/// What happens to one sequence. Whoever lets go of it, or is cancelled while waiting for more, ends the sequence.
public typealias CompletionEvents = any AsyncSequence<GenerationEvent, any Error> & Sendable

/// Turns token ids into text one at a time, never giving half a character.
public protocol TextDecoder: Sendable {
  /// The text that `id` completes; empty where a character is still unfinished.
  mutating func append(_ id: Int32) -> String
  /// What is left: an unfinished character comes out as U+FFFD.
  mutating func finish() -> String
}

/// What a chat template is applied to.
public struct Conversation: Sendable {
  /// Objects as the request has them, with `role` and `content`.
  public var messages: [JSONValue]
  /// Whether the text ends with what an answer begins with.
  public var addGenerationPrompt = true
  /// Replaces the model's own template.
  public var template: String?
  /// More names for the template to see.
  public var extra = JSONObject()
  /// A conversation that an answer is to follow, with the model's own template.
  public init(messages: [JSONValue]) { self.messages = messages }

  /// The messages as a template knows them: OpenAI's clients call the system's role `developer`, which few templates do.
  func messages(for template: ChatTemplate) -> [JSONValue] {
    guard !template.source.contains("developer") else { return messages }
    return messages.map { message in
      guard message["role"] == "developer", var members = message.object else { return message }
      members["role"] = "system"
      return .object(members)
    }
  }
}

/// How long sequences may be, and which token ids there are.
public struct EngineLimits: Sendable, Hashable {
  /// Tokens of prompt and answer together.
  public var maximumSequenceLength: Int
  /// Token ids are at least 0 and below it.
  public var vocabularySize: Int
  /// A text of more bytes has too many tokens whatever it says; nil where that is known only by tokenizing.
  public var maximumPromptBytes: Int?
  /// Most bytes of text that are tokenized for one request.
  var maximumTextBytes: Int { max(2 << 20, 16 * maximumSequenceLength) }
  /// Most token ids that are turned into text for one request.
  var maximumDetokenizedTokens: Int { max(1 << 17, maximumSequenceLength) }
  /// - Parameter maximumPromptBytes: nil where a text's bytes say nothing about its tokens.
  public init(maximumSequenceLength: Int, vocabularySize: Int, maximumPromptBytes: Int? = nil) {
    self.maximumSequenceLength = maximumSequenceLength
    self.vocabularySize = vocabularySize
    self.maximumPromptBytes = maximumPromptBytes
  }
}

/// Whether an engine can answer.
public enum EngineHealth: Sendable, Hashable {
  /// Takes requests.
  case ready
  /// Cannot answer, and why.
  case failed(String)
}

/// Why a sequence was not taken on.
public enum EngineRefusal: Error, Sendable, Hashable {
  /// The queue is full; come back after so many seconds.
  case queueFull(retryAfter: Int)
  /// The server is stopping.
  case shuttingDown
  /// The request itself cannot be served; the message says what is wrong with it.
  case invalid(String)
}
