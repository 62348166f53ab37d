import Engines
import Execution
import Inference

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A model whose logits are a hash of everything the sequence holds: each token, its position and the phase in which it
/// was computed. One wrong token, block or phase anywhere in the history changes every logit.
struct FakeModel: Sendable {
  var vocabularySize = 64
  /// Changes all logits, as other weights would.
  var version: UInt64 = 0

  /// Hash of a history that ends with `token`.
  func extend(_ history: UInt64, _ token: Int32, position: Int, _ phase: SequenceSlice.Phase) -> UInt64 {
    mix(history ^ mix(UInt64(token) &+ UInt64(position) << 32 &+ (phase == .decode ? 1 << 62 : 0)) &+ version)
  }
  /// `[vocabularySize]`, in -4...4, rounded so that equal logits are common.
  func logits(_ history: UInt64) -> [Float] {
    (0..<vocabularySize).map { id in
      Float(Int(mix(history &+ UInt64(id) &* 0x1234_5678_9ABC_DEF1) % 257) - 128) / 32
    }
  }

  /// The log-probability of each prompt token after the first, in doubles.
  func promptScores(_ request: GenerationRequest) -> [Double] {
    var history: UInt64 = 0
    var scores: [Double] = []
    for (position, token) in request.promptIDs.enumerated() {
      if position > 0 {
        let logits = logits(history).map(Double.init)
        scores.append(logits[Int(token)] - log(logits.reduce(0) { $0 + exp($1) }))
      }
      history = extend(history, token, position: position, .prefill)
    }
    return scores
  }

  /// What a request must be answered, computed with no cache, batch or scheduler.
  func answer(_ request: GenerationRequest, room: Int) -> (tokens: [GeneratedToken], reason: FinishReason) {
    var sampler = Sampler(
      request.sampling, fallbackSeed: 0, promptIDs: request.promptIDs, endOfSequenceIDs: request.endOfSequenceIDs,
      vocabularySize: vocabularySize)
    var scratch = SamplingScratch()
    var history: UInt64 = 0
    var position = 0
    for token in request.promptIDs {
      history = extend(history, token, position: position, .prefill)
      position += 1
    }
    var tokens: [GeneratedToken] = []
    while true {
      var logits = logits(history)
      var span = logits.mutableSpan
      guard let token = try? sampler.next(&span, &scratch) else { return (tokens, .cancelled) }
      if sampler.ends(with: token.id) { return (tokens, .stop(tokenID: token.id)) }
      tokens.append(token)
      if tokens.count == min(request.sampling.maximumTokens ?? room, room) { return (tokens, .length) }
      history = extend(history, token.id, position: position, .decode)
      position += 1
    }
  }
}

/// A number that looks random and depends on every bit of what it is made from (the last step of SplitMix64).
private func mix(_ value: UInt64) -> UInt64 {
  var z = value
  z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
  z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
  return z ^ (z >> 31)
}
