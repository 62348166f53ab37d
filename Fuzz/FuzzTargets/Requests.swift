import JSON
@testable import Serving

extension FuzzTarget {
  /// The body of a request, to every endpoint that reads one. What is accepted keeps to the server's limits.
  static let requests = FuzzTarget(name: "requests", form: .json) { input in
    guard let body = (try? JSONValue(parsing: input, maximumDepth: 64))?.object else { return }
    let engine = EngineLimits(maximumSequenceLength: 100, vocabularySize: 1000, maximumPromptBytes: 4000)
    let limits = RequestLimits(engine: engine, maximumChoices: 16, trustsTemplates: input.count % 2 == 0)
    func check(_ fields: SamplingFields, _ promptCount: Int) {
      precondition((1...limits.maximumChoices).contains(fields.choiceCount) && fields.candidateCount >= fields.choiceCount)
      precondition(promptCount * fields.candidateCount <= limits.maximumChoices)
      let parameters = fields.parameters
      precondition((0...2).contains(parameters.temperature) && parameters.topP > 0 && parameters.topP <= 1 && parameters.topK >= 0)
      precondition(parameters.logitBias.allSatisfy { (0..<1000).contains($0.key) && (-100...100).contains($0.value) })
      precondition(parameters.stopTokenIDs.allSatisfy { (0..<1000).contains($0) })
      precondition((0...RequestLimits.maximumAlternatives).contains(parameters.logProbabilities ?? 0))
      precondition(!fields.stopStrings.contains("") && fields.stopStrings.count <= RequestLimits.maximumStopStrings)
      var settled = fields
      for length in [0, 1, 99, 100, 101] {
        guard (try? settled.settle(promptLength: length, limits: engine)) != nil else { continue }
        precondition((settled.maximumTokens ?? 0) + length <= engine.maximumSequenceLength)
        precondition(settled.parameters.minimumTokens <= settled.parameters.maximumTokens ?? 0)
      }
      precondition(fields.truncated([1, 2, 3]).count <= 3)
    }
    func attempt<Call>(_ read: () throws -> Call) -> Call? {
      do { return try read() } catch let error as APIError {
        precondition((400..<500).contains(error.status), "a request's fault is answered with \(error.status)")
        precondition(error.message.utf8.count <= 2000 + 8 * input.count, "the message is longer than what it is about")
        _ = error.json.serialized()
        return nil
      } catch { preconditionFailure("\(error) is no answer") }
    }
    if let call = attempt({ try ChatRequest(body, limits: limits) }) {
      precondition(!call.conversation.messages.isEmpty)
      precondition(call.promptIDs?.allSatisfy { (0..<1000).contains($0) } ?? true)
      check(call.sampling, 1)
    }
    if let call = attempt({ try CompletionRequest(body, limits: limits) }) {
      precondition(!call.prompts.isEmpty)
      check(call.sampling, call.prompts.count)
    }
    _ = attempt { try TokenizeRequest(body, limits: limits) }
    if let call = attempt({ try DetokenizeRequest(body, limits: engine) }) {
      precondition(call.tokens.allSatisfy { (0..<1000).contains($0) })
    }
  }
}
