import Backends
import Engines
import Execution
public import Inference
public import SystemPackage
public import Tokenizers

/// An engine that answers one question at a time.
public struct Chat: Sendable {
  public let tokenizer: Tokenizer
  public let loop: EngineLoop

  public init(tokenizer: Tokenizer, loop: EngineLoop) {
    self.tokenizer = tokenizer
    self.loop = loop
  }

  /// Opens an engine with the tokenizer that it carries.
  public init(engine path: FilePath) throws {
    let engine = try EngineDirectory(path)
    tokenizer = try Tokenizer(files: engine.tokenizerFiles(), modelVocabulary: engine.pretrained.vocabularySize)
    loop = try EngineLoop(executor: try BackendRegistry.all().open(engine))
  }

  /// The likeliest answer of at most `tokens` tokens. Cancelling the task ends the sequence at the next step.
  public func answer(_ question: String, tokens: Int = 64) async throws -> String {
    let prompt = try tokenizer.applyChatTemplate(messages: [["role": "user", "content": .string(question)]])
    var sampling = SamplingParameters.greedy
    sampling.maximumTokens = tokens
    let request = GenerationRequest(
      promptIDs: tokenizer.encode(prompt, addSpecialTokens: false), sampling: sampling, endOfSequenceIDs: tokenizer.endOfSequenceIDs)
    var ids: [Int32] = []
    for try await event in try loop.submit(request) {
      if case .token(let token) = event { ids.append(token.id) }
    }
    return tokenizer.decode(ids)
  }
}
