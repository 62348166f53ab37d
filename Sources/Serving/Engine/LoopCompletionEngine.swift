public import Inference
import JSON
public import Tokenizers

/// An engine loop and a tokenizer as what the server needs.
public final class LoopCompletionEngine: CompletionEngine {
  private let loop: EngineLoop
  private let tokenizer: Tokenizer
  private let chatTemplate: ChatTemplate?
  private let versions: WeightVersionLog
  public let memoryReadRate: Double?
  private let failure: @Sendable () -> String?
  public var weightVersion: String { versions.current }
  public let limits: EngineLimits

  /// - Parameters:
  ///   - versions: What names the loop's weights, step by step; the server hands it out.
  ///   - chatTemplate: Replaces the tokenizer's own.
  ///   - memoryReadRate: Bytes a second at which the machine reads weights.
  ///   - failure: Why the engine cannot answer now, nil while it can; asked before every answer, so it must be quick.
  public init(
    loop: EngineLoop, tokenizer: Tokenizer, versions: WeightVersionLog, chatTemplate: ChatTemplate? = nil,
    memoryReadRate: Double? = nil, failure: @Sendable @escaping () -> String? = { nil }
  ) {
    self.memoryReadRate = memoryReadRate
    self.failure = failure
    self.loop = loop
    self.tokenizer = tokenizer
    self.chatTemplate = chatTemplate
    self.versions = versions
    let longestToken = (0..<Int32(tokenizer.vocabularySize)).reduce(1) { max($0, tokenizer.bytes(ofID: $1).count) }
    limits = EngineLimits(
      maximumSequenceLength: loop.limits.longestSequence, vocabularySize: loop.limits.vocabularySize,
      // Normalization may shorten a text before it is cut into tokens, but not to less than a quarter.
      maximumPromptBytes: loop.limits.longestSequence * longestToken * 4)
  }

  /// An engine whose weights do not change.
  public convenience init(
    loop: EngineLoop, tokenizer: Tokenizer, weightVersion: String, chatTemplate: ChatTemplate? = nil
  ) {
    self.init(loop: loop, tokenizer: tokenizer, versions: WeightVersionLog(weightVersion), chatTemplate: chatTemplate)
  }

  /// A failed step ends its own requests; the loop goes on.
  public var health: EngineHealth { failure().map { .failed($0) } ?? .ready }

  public func tokenize(_ text: String, addSpecialTokens: Bool, budget: WorkBudget) throws -> [Int32] {
    try tokenizer.encode(text, addSpecialTokens: addSpecialTokens, budget: budget)
  }
  public func detokenize(_ ids: [Int32], skipSpecialTokens: Bool) -> String {
    tokenizer.decode(ids, skipSpecialTokens: skipSpecialTokens)
  }
  public func bytes(of token: Int32) -> [UInt8] { tokenizer.bytes(ofID: token) }
  public func makeTextDecoder(skipSpecialTokens: Bool) -> any TextDecoder {
    TokenizerDecoder(decoder: tokenizer.makeIncrementalDecoder(skipSpecialTokens: skipSpecialTokens))
  }

  public func applyChatTemplate(_ conversation: Conversation, budget: WorkBudget) throws -> String {
    let extra = Dictionary(uniqueKeysWithValues: conversation.extra.map { ($0.key, $0.value) })
    let template = try conversation.template.map { try ChatTemplate(source: $0) } ?? chatTemplate ?? tokenizer.chatTemplate()
    let special = tokenizer.specialTokens.byName.mapValues { JSONValue.string($0) }
    return try template.render(
      messages: conversation.messages(for: template), addGenerationPrompt: conversation.addGenerationPrompt,
      extra: special.merging(extra) { $1 }, budget: budget)
  }

  public func generate(promptIDs: [Int32], sampling: SamplingParameters, promptScores: PromptScores) throws -> CompletionEvents {
    let request = GenerationRequest(
      promptIDs: promptIDs, sampling: sampling, endOfSequenceIDs: tokenizer.endOfSequenceIDs, promptScores: promptScores)
    do {
      return VersionedEvents(try loop.submit(request), versions: versions)
    } catch {
      switch error {
      case .queueFull: throw EngineRefusal.queueFull(retryAfter: 1)
      case .stopping: throw EngineRefusal.shuttingDown
      case .emptyPrompt, .promptTooLong, .tokenOutOfRange, .parameter: throw EngineRefusal.invalid(error.description)
      }
    }
  }

  public var statistics: LoopStatistics { loop.statistics }
}

private struct TokenizerDecoder: TextDecoder {
  var decoder: IncrementalDecoder
  mutating func append(_ id: Int32) -> String { decoder.feed(id) }
  mutating func finish() -> String { decoder.finish() }
}
