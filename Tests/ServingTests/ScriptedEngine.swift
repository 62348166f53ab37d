import Execution
import Inference
import JSON
import Serving
import Synchronization
import Tokenizers

/// An engine that says what a test tells it to. Its tokens are bytes; 256 begins a text, 257 ends an answer.
final class ScriptedEngine: CompletionEngine {
  struct Script: Sendable {
    var tokens: [Int32]
    /// Ends with the end-of-sequence token unless the request stops it before.
    var end = FinishReason.stop(tokenID: 257)
    /// Before each token.
    var delay: Duration = .zero
    var error: ScriptedFailure?
    var weightsChange: (after: Int, version: String)?

    init(_ text: String) { tokens = text.utf8.map(Int32.init) }
    init(tokens: [Int32]) { self.tokens = tokens }
  }
  struct Submission: Sendable {
    var promptIDs: [Int32]
    var parameters: SamplingParameters
    var promptScores: PromptScores
  }
  private struct State {
    var submissions: [Submission] = []
    var running = 0
    var cancelled = 0
    var delivered = 0
    var health = EngineHealth.ready
    var refusal: EngineRefusal?
  }
  private let state = Mutex(State())
  private let script: @Sendable (Submission) -> Script
  /// Called before each text is cut into tokens.
  let onTokenize = Mutex<@Sendable (_ text: String, WorkBudget) throws -> Void>({ _, _ in })

  init(_ script: @escaping @Sendable (Submission) -> Script = { _ in Script(" Hello, world") }) { self.script = script }
  convenience init(_ text: String) { self.init { _ in Script(text) } }

  let limits = EngineLimits(maximumSequenceLength: 1000, vocabularySize: 300)
  let weightVersion = "weights-1"
  let memoryReadRate: Double? = nil
  var statistics: LoopStatistics {
    var statistics = LoopStatistics()
    statistics.running = running
    statistics.generatedTokens = UInt64(delivered)
    statistics.totalBlocks = 8
    statistics.freeBlocks = 6
    return statistics
  }
  var health: EngineHealth {
    get { state.withLock { $0.health } }
    set { state.withLock { $0.health = newValue } }
  }
  var refusal: EngineRefusal? {
    get { state.withLock { $0.refusal } }
    set { state.withLock { $0.refusal = newValue } }
  }
  var submissions: [Submission] { state.withLock { $0.submissions } }
  var running: Int { state.withLock { $0.running } }
  var cancelled: Int { state.withLock { $0.cancelled } }
  var delivered: Int { state.withLock { $0.delivered } }

  func tokenize(_ text: String, addSpecialTokens: Bool, budget: WorkBudget) throws -> [Int32] {
    try onTokenize.withLock { $0 }(text, budget)
    return (addSpecialTokens ? [256] : []) + text.utf8.map(Int32.init)
  }
  func detokenize(_ ids: [Int32], skipSpecialTokens: Bool) -> String {
    String(decoding: ids.flatMap { skipSpecialTokens && $0 > 255 ? [] : bytes(of: $0) }, as: UTF8.self)
  }
  func bytes(of token: Int32) -> [UInt8] {
    switch token {
    case 0..<256: [UInt8(token)]
    case 256: Array("<s>".utf8)
    case 257: Array("</s>".utf8)
    default: []
    }
  }
  func makeTextDecoder(skipSpecialTokens: Bool) -> any TextDecoder {
    ByteDecoder(engine: self, skipSpecialTokens: skipSpecialTokens)
  }
  func applyChatTemplate(_ conversation: Conversation, budget: WorkBudget) throws -> String {
    if let template = conversation.template, template.contains("raise") { throw ScriptedFailure(message: "line 1: no") }
    if let template = conversation.template, template.contains("{%") {
      return try ChatTemplate(source: template).render(
        messages: conversation.messages, addGenerationPrompt: conversation.addGenerationPrompt, budget: budget)
    }
    let turns = conversation.messages.map { "[\($0["role"]?.string ?? "?")]\($0["content"]?.string ?? "?")" }
    let extra = conversation.extra.isEmpty ? "" : JSONValue.object(conversation.extra).serialized()
    return turns.joined() + extra + (conversation.addGenerationPrompt ? "[assistant]" : "")
  }

  func generate(promptIDs: [Int32], sampling: SamplingParameters, promptScores: PromptScores) throws -> CompletionEvents {
    let submission = Submission(promptIDs: promptIDs, parameters: sampling, promptScores: promptScores)
    try state.withLock {
      if let refusal = $0.refusal { throw refusal }
      $0.submissions.append(submission)
      $0.running += 1
    }
    let script = script(submission)
    return AsyncThrowingStream<GenerationEvent, any Error> { continuation in
      let work = Task {
        await self.play(script, submission, continuation)
        self.state.withLock { $0.running -= 1 }
      }
      continuation.onTermination = { reason in
        guard case .cancelled = reason else { return }
        self.state.withLock { $0.cancelled += 1 }
        work.cancel()
      }
    }
  }

  private static func scored(_ id: Int32, count: Int) -> GeneratedToken {
    GeneratedToken(
      id: id, logProbability: Float(id) / -128,
      top: (0..<count).map { TokenLogProbability(id: Int32($0) + 97, logProbability: Float(-$0)) })
  }

  private func play(
    _ script: Script, _ submission: Submission, _ continuation: AsyncThrowingStream<GenerationEvent, any Error>.Continuation
  ) async {
    var usage = Usage(promptTokens: submission.promptIDs.count, cachedPromptTokens: 3, generatedTokens: 0)
    if submission.promptScores != .none {
      let count = submission.parameters.logProbabilities ?? 0
      continuation.yield(
        .promptScored(submission.promptIDs.dropFirst().map { Self.scored($0, count: count) }))
      if submission.promptScores == .withoutAnswer {
        continuation.yield(.finished(.length, usage))
        return continuation.finish()
      }
    }
    for id in script.tokens {
      if let change = script.weightsChange, change.after == usage.generatedTokens {
        continuation.yield(.weightsChanged(version: change.version))
      }
      if script.delay > .zero { try? await Task.sleep(for: script.delay) } else { await Task.yield() }
      if Task.isCancelled { return }
      usage.generatedTokens += 1
      if submission.parameters.stopTokenIDs.contains(id) {
        continuation.yield(.finished(.stop(tokenID: id), usage))
        return continuation.finish()
      }
      let count = submission.parameters.logProbabilities
      state.withLock { $0.delivered += 1 }
      continuation.yield(
        .token(
          count.map { Self.scored(id, count: $0) } ?? GeneratedToken(id: id)))
      if usage.generatedTokens == submission.parameters.maximumTokens {
        continuation.yield(.finished(.length, usage))
        return continuation.finish()
      }
    }
    if let error = script.error { return continuation.finish(throwing: error) }
    usage.generatedTokens += 1
    continuation.yield(.finished(script.end, usage))
    continuation.finish()
  }
}

struct ScriptedFailure: Error, CustomStringConvertible {
  var message: String
  var description: String { message }
}

private struct ByteDecoder: TextDecoder {
  let engine: ScriptedEngine
  let skipSpecialTokens: Bool
  private var unfinished: [UInt8] = []

  init(engine: ScriptedEngine, skipSpecialTokens: Bool) {
    self.engine = engine
    self.skipSpecialTokens = skipSpecialTokens
  }
  mutating func append(_ id: Int32) -> String {
    if skipSpecialTokens, id > 255 { return "" }
    unfinished += engine.bytes(of: id)
    guard let text = String(validating: unfinished, as: UTF8.self) else { return "" }
    unfinished = []
    return text
  }
  mutating func finish() -> String {
    defer { unfinished = [] }
    return String(decoding: unfinished, as: UTF8.self)
  }
}
