public import Execution

/// Chooses the tokens of one sequence.
///
/// A value with no clock and no source of randomness of its own: what it chooses is a function of parameters, seed,
/// prompt and the logits it was shown. The steps, in order, a file each: penalties, bias, minimum length, temperature,
/// top-k, top-p, min-p, draw.
public struct Sampler: Sendable {
  /// As they were given, and valid.
  public let parameters: SamplingParameters
  /// What draws are made from: `parameters.seed`, or what took its place.
  public let seed: UInt64
  /// Tokens chosen so far.
  public private(set) var generatedTokens = 0
  private var history: Penalties.History?
  private let endingTokens: [Int32]
  private let vocabularySize: Int

  /// - Parameters:
  ///   - parameters: Valid for `vocabularySize`.
  ///   - fallbackSeed: Used where the parameters have no seed.
  ///   - promptIDs: Below `vocabularySize`.
  public init(
    _ parameters: SamplingParameters, fallbackSeed: UInt64, promptIDs: [Int32], endOfSequenceIDs: Set<Int32>,
    vocabularySize: Int
  ) {
    self.parameters = parameters
    self.vocabularySize = vocabularySize
    seed = parameters.seed ?? fallbackSeed
    history = Penalties.areNeeded(parameters) ? .init(promptIDs: promptIDs) : nil
    let ends = parameters.ignoreEndOfSequence ? [] : endOfSequenceIDs
    endingTokens = parameters.stopTokenIDs.union(ends).filter { $0 >= 0 && $0 < vocabularySize }
  }

  /// Whether this token ends the sequence.
  public func ends(with id: Int32) -> Bool { endingTokens.contains(id) }

  /// The least that the next choice needs: where the likeliest token is taken as the model has it, no logits.
  public var wanted: LogitsWanted {
    guard takesLikeliest, history == nil, parameters.logitBias.isEmpty, generatedTokens >= parameters.minimumTokens else { return .all }
    return parameters.logProbabilities.map { .best(min(max($0, 1), vocabularySize)) } ?? .token
  }
  private var takesLikeliest: Bool { parameters.temperature < SamplingParameters.greedyBelow || parameters.topK == 1 }

  /// Chooses the next token of what an executor answered, which does for ``wanted``.
  public mutating func next(_ answer: RowAnswer, _ scratch: inout SamplingScratch) throws(SamplingError) -> GeneratedToken {
    if let id = answer.notFinite { throw failed(.notFinite(tokenID: Int(id))) }
    guard answer.kind.suffices(for: wanted) else { throw failed(.missing) }
    var token: GeneratedToken
    switch answer {
    case .all(let logits):
      var span = unsafe logits.buffer.mutableSpan
      return try next(&span, &scratch)
    case .token(let id): token = GeneratedToken(id: id)
    case .best(let tokens):
      guard let best = tokens.first else { throw failed(.missing) }
      token = GeneratedToken(id: best.id)
      if let count = parameters.logProbabilities {
        token.logProbability = tokens[0].logProbability
        token.top = Array(tokens.prefix(count))
      }
    }
    guard token.id < vocabularySize else { throw failed(.missing) }
    generatedTokens += 1
    return token
  }

  /// Chooses the next token.
  /// - Parameter logits: `[vocabularySize]`; changed.
  /// - Complexity: A few passes over the vocabulary; sorts only tokens that can be chosen.
  public mutating func next(
    _ logits: inout MutableSpan<Float>, _ scratch: inout SamplingScratch
  ) throws(SamplingError) -> GeneratedToken {
    let rawMaximum = try maximum(of: logits.span)
    if parameters.logProbabilities != nil {
      scratch.rawLogits.removeAll(keepingCapacity: true)
      scratch.rawLogits.reserveCapacity(logits.count)
      unsafe logits.span.withUnsafeBufferPointer { unsafe scratch.rawLogits.append(contentsOf: $0) }
    }

    let id = try choose(&logits, rawMaximum: rawMaximum, &scratch)

    generatedTokens += 1
    history?.generated[id, default: 0] += 1
    var token = GeneratedToken(id: id)
    if let count = parameters.logProbabilities {
      let rawLogits = scratch.rawLogits
      let report = LogProbabilities.report(
        of: id, top: count, raw: rawLogits.span, maximum: rawMaximum, &scratch.candidates)
      token.logProbability = report.chosen
      token.top = report.top
    }
    return token
  }

  /// Says how likely a token that is known was; chooses nothing.
  /// - Parameter logits: The model's, `[vocabularySize]`, of the row before the token.
  public func score(
    _ id: Int32, _ logits: Span<Float>, _ scratch: inout SamplingScratch
  ) throws(SamplingError) -> GeneratedToken {
    let rawMaximum = try maximum(of: logits)
    let report = LogProbabilities.report(
      of: id, top: parameters.logProbabilities ?? 0, raw: logits, maximum: rawMaximum, &scratch.candidates)
    return GeneratedToken(id: id, logProbability: report.chosen, top: report.top)
  }

  private func maximum(of logits: Span<Float>) throws(SamplingError) -> Float {
    guard logits.count == vocabularySize else { throw failed(.wrongCount(logits.count)) }
    let raw = VectorMath.maximum(logits)
    guard !raw.metNaN, raw.value < .infinity else {
      var bad = 0
      while bad < logits.count - 1, logits[bad] < .infinity { bad += 1 }
      throw failed(.notFinite(tokenID: bad))
    }
    guard raw.value > -.infinity else { throw failed(.nothingLeft) }
    return raw.value
  }

  private func choose(
    _ logits: inout MutableSpan<Float>, rawMaximum: Float, _ scratch: inout SamplingScratch
  ) throws(SamplingError) -> Int32 {
    var maximum = rawMaximum
    let isBarred = generatedTokens < parameters.minimumTokens
    if history != nil || !parameters.logitBias.isEmpty || isBarred {
      if let history { Penalties.apply(parameters, history, to: &logits) }
      LogitBias.apply(parameters.logitBias, to: &logits)
      if isBarred { MinimumTokens.apply(barring: endingTokens, to: &logits) }
      maximum = VectorMath.maximum(logits.span).value
      guard maximum > -.infinity else { throw failed(.nothingLeft) }
    }
    if takesLikeliest {
      return Int32(VectorMath.firstIndex(of: maximum, in: logits.span) ?? 0)
    }
    maximum = Temperature.apply(parameters.temperature, maximum: maximum, to: &logits)

    let uniform = CounterRandom.uniform(seed: seed, choice: parameters.choice, step: UInt64(generatedTokens))
    let drawn: Int32?
    if parameters.topK > 0 && parameters.topK < vocabularySize {
      TopK.select(parameters.topK, from: logits.span, into: &scratch.candidates)
      if parameters.topP < 1 { TopP.cut(&scratch, to: parameters.topP) }
      if parameters.minP > 0 { MinP.cut(&scratch.candidates, to: parameters.minP) }
      drawn = Draw.fromCandidates(&scratch, uniform: uniform)
    } else if parameters.topP < 1 {
      TopP.select(parameters.topP, from: logits.span, maximum: maximum, &scratch)
      if parameters.minP > 0 { MinP.cut(&scratch.candidates, to: parameters.minP) }
      drawn = Draw.fromCandidates(&scratch, uniform: uniform)
    } else if parameters.minP > 0 {
      MinP.select(parameters.minP, from: logits.span, maximum: maximum, &scratch)
      drawn = Draw.fromCandidates(&scratch, uniform: uniform)
    } else {
      drawn = Draw.fromAll(&logits, maximum: maximum, uniform: uniform, &scratch)
    }
    guard let drawn else { throw failed(.nothingLeft) }
    return drawn
  }

  private func failed(_ problem: SamplingError.Problem) -> SamplingError {
    SamplingError(problem: problem, generatedTokens: generatedTokens)
  }
}
