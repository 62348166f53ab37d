import Inference
import TestSupport

/// A request with random prompt and parameters, always seeded.
func randomRequest(
  _ generator: inout SeededGenerator, promptLength: ClosedRange<Int> = 1...60, vocabularySize: Int = 64,
  prefixes: [[Int32]] = []
) -> GenerationRequest {
  var prompt: [Int32] = prefixes.randomElement(using: &generator) ?? []
  prompt += (0..<Int.random(in: promptLength, using: &generator)).map { _ in
    Int32.random(in: 0..<Int32(vocabularySize), using: &generator)
  }
  var sampling = SamplingParameters()
  sampling.temperature = [0, 0.7, 1, 1.5].randomElement(using: &generator) ?? 1
  sampling.topK = [0, 0, 5, 20].randomElement(using: &generator) ?? 0
  sampling.topP = [1, 0.9, 0.5].randomElement(using: &generator) ?? 1
  sampling.minP = [0, 0, 0.1].randomElement(using: &generator) ?? 0
  sampling.repetitionPenalty = [1, 1.2].randomElement(using: &generator) ?? 1
  sampling.presencePenalty = [0, 0.5].randomElement(using: &generator) ?? 0
  sampling.seed = generator.next()
  sampling.maximumTokens = Int.random(in: 1...40, using: &generator)
  sampling.logProbabilities = [nil, 0, 3].randomElement(using: &generator) ?? nil
  return GenerationRequest(id: "random", promptIDs: prompt, sampling: sampling, endOfSequenceIDs: [0])
}

/// What a stream delivered.
struct Answer: Equatable {
  var tokens: [GeneratedToken] = []
  var promptScores: [GeneratedToken]?
  var reason: FinishReason?
  var usage: Usage?

  var ids: [Int32] { tokens.map(\.id) }
  /// Tokens without the number of the step that chose them.
  var choices: [GeneratedToken] {
    tokens.map { token in
      var token = token
      token.step = 0
      return token
    }
  }
}
func collect(_ stream: AsyncThrowingStream<GenerationEvent, any Error>) async throws -> Answer {
  var answer = Answer()
  for try await event in stream {
    switch event {
    case .promptScored(let scores): answer.promptScores = scores
    case .weightsChanged: break
    case .token(let token): answer.tokens.append(token)
    case .finished(let reason, let usage):
      answer.reason = reason
      answer.usage = usage
    }
  }
  return answer
}
