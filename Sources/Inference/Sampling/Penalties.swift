/// Makes tokens that were there before less likely, or with values below neutral more likely.
package enum Penalties {
  /// What a sequence said so far.
  package struct History: Sendable {
    package var prompt: Set<Int32>
    /// Generated token ids and how often each was generated.
    package var generated: [Int32: Int] = [:]

    package init(promptIDs: [Int32]) { prompt = Set(promptIDs) }
  }

  package static func areNeeded(_ parameters: SamplingParameters) -> Bool {
    parameters.repetitionPenalty != 1 || parameters.presencePenalty != 0 || parameters.frequencyPenalty != 0
  }

  /// Repetition (arXiv:1909.05858) looks at prompt and answer; presence and frequency (OpenAI) look at the answer only.
  package static func apply(_ parameters: SamplingParameters, _ history: History, to logits: inout MutableSpan<Float>) {
    let repetition = Float(parameters.repetitionPenalty)
    func repeated(_ logit: Float) -> Float { logit > 0 ? logit / repetition : logit * repetition }
    if repetition != 1 {
      for id in history.prompt where history.generated[id] == nil { logits[Int(id)] = repeated(logits[Int(id)]) }
    }
    for (id, count) in history.generated {
      let penalty = Float(parameters.presencePenalty + parameters.frequencyPenalty * Double(count))
      logits[Int(id)] = repeated(logits[Int(id)]) - penalty
    }
  }
}
