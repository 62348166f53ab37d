import Inference
import TestSupport
import Testing

@Suite struct SamplerTests {
  func parameters(_ change: (inout SamplingParameters) -> Void) -> SamplingParameters {
    var parameters = SamplingParameters()
    parameters.seed = 1
    change(&parameters)
    return parameters
  }
  func sampler(
    _ parameters: SamplingParameters, _ vocabularySize: Int, prompt: [Int32] = [], ends: Set<Int32> = []
  ) -> Sampler {
    Sampler(
      parameters, fallbackSeed: 0, promptIDs: prompt, endOfSequenceIDs: ends, vocabularySize: vocabularySize)
  }
  func next(_ sampler: inout Sampler, _ logits: [Float]) throws -> GeneratedToken {
    var logits = logits
    var scratch = SamplingScratch()
    var span = logits.mutableSpan
    return try sampler.next(&span, &scratch)
  }
  /// Random logits, many of them equal.
  func logits(_ count: Int, _ generator: inout SeededGenerator, spread: Float = 10) -> [Float] {
    (0..<count).map { _ in
      (Float.random(in: -spread...spread, using: &generator) * 16).rounded() / 16
    }
  }
  /// The distribution that the parameters define, in float64, by sorting.
  func distribution(_ logits: [Float], _ p: SamplingParameters) -> [Int32: Double] {
    var sorted = logits.indices.sorted { (logits[$0], $1) > (logits[$1], $0) }
    if p.topK > 0 { sorted = Array(sorted.prefix(p.topK)) }
    let best = Double(logits[sorted[0]])
    func weight(_ id: Int) -> Double { exponential((Double(logits[id]) - best) / p.temperature) }
    let total = sorted.reduce(0) { $0 + weight($1) }
    var kept: [Int] = []
    var sum = 0.0
    for id in sorted where kept.isEmpty || sum < p.topP * total {
      kept.append(id)
      sum += weight(id)
    }
    kept = kept.filter { weight($0) >= p.minP }
    let keptTotal = kept.reduce(0) { $0 + weight($1) }
    return Dictionary(uniqueKeysWithValues: kept.map { (Int32($0), weight($0) / keptTotal) })
  }

  @Test("greedy picks the largest logit, and the first of equals", arguments: [1, 5, 16, 17, 100, 1025])
  func greedy(count: Int) throws {
    var generator = SeededGenerator(seed: UInt64(count))
    for _ in 0..<50 {
      let logits = logits(count, &generator, spread: 2)
      let expected = logits.indices.reduce(0) { logits[$1] > logits[$0] ? $1 : $0 }
      var zero = sampler(.greedy, count)
      #expect(try next(&zero, logits).id == Int32(expected))
      var one = sampler(parameters { $0.topK = 1 }, count)
      #expect(try next(&one, logits).id == Int32(expected))
    }
  }

  @Test(
    "draws follow the distribution that sorting gives",
    arguments: [
      (0, 1, 0), (5, 1, 0), (0, 0.8, 0), (20, 0.7, 0), (0, 1, 0.05), (0, 0.9, 0.1), (50, 0.95, 0.02), (0, 0, 0),
    ]
      as [(Int, Double, Double)], [0.5, 1, 3])
  func follows(filter: (topK: Int, topP: Double, minP: Double), temperature: Double) throws {
    let parameters = parameters {
      ($0.topK, $0.topP, $0.minP, $0.temperature) = (filter.topK, filter.topP, filter.minP, temperature)
    }
    var generator = SeededGenerator(seed: 3)
    let logits = logits(60, &generator, spread: 3)
    let expected = distribution(logits, parameters)
    var sampler = sampler(parameters, 60)
    var counts: [Int32: Int] = [:]
    let draws = 20_000
    for _ in 0..<draws { counts[try next(&sampler, logits).id, default: 0] += 1 }
    for id in counts.keys { #expect(expected[id] != nil, "token \(id) was filtered out") }
    for (id, probability) in expected {
      let frequency = Double(counts[id] ?? 0) / Double(draws)
      // Five standard deviations.
      let tolerance = 5 * (probability * (1 - probability) / Double(draws)).squareRoot() + 1e-9
      #expect(abs(frequency - probability) <= tolerance, "token \(id): \(frequency), not \(probability)")
    }
  }

  @Test("filters keep what sorting keeps", arguments: 1...60 as ClosedRange<UInt64>)
  func filters(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let count = Int.random(in: 1...5000, using: &generator)
    var logits = logits(count, &generator, spread: [0, 1, 10, 40].randomElement(using: &generator) ?? 1)
    for index in logits.indices where Int.random(in: 0...50, using: &generator) == 0 { logits[index] = -.infinity }
    logits[0] = 0
    let sorted = logits.indices.filter { logits[$0] > -.infinity }.sorted { (logits[$0], $1) > (logits[$1], $0) }
    var scratch = SamplingScratch()
    let k = Int.random(in: 1...count, using: &generator)
    TopK.select(k, from: logits.span, into: &scratch.candidates)
    #expect(scratch.candidates.map { Int($0.id) } == Array(sorted.prefix(k)))
    #expect(scratch.candidates.allSatisfy { $0.logit == logits[Int($0.id)] })

    let maximum = VectorMath.maximum(logits.span).value
    #expect(maximum == logits.max())
    let p = Double.random(in: 0.01...0.999, using: &generator)
    let total = sorted.reduce(0) { $0 + exponential(Double(logits[$1] - maximum)) }
    TopP.select(p, from: logits.span, maximum: maximum, &scratch)
    let kept = scratch.candidates.map { Int($0.id) }
    #expect(kept == Array(sorted.prefix(kept.count)))
    func share(_ ids: some Sequence<Int>) -> Double {
      ids.reduce(0) { $0 + exponential(Double(logits[$1] - maximum)) } / total
    }
    #expect(share(kept) >= p - 1e-5)
    #expect(kept.count == 1 || share(kept.dropLast()) <= p + 1e-5)

    let minimum = Double.random(in: 0.001...1, using: &generator)
    MinP.select(minimum, from: logits.span, maximum: maximum, &scratch)
    let left = scratch.candidates.count
    #expect(scratch.candidates.map { Int($0.id) } == Array(sorted.prefix(left)))
    for (rank, id) in sorted.enumerated() {
      let share = exponential(Double(logits[id] - maximum))
      if share > minimum * 1.00001 { #expect(rank < left) }
      if share < minimum * 0.99999 { #expect(rank >= left) }
    }
  }

  @Test func `penalties change exactly the logits they name`() {
    let parameters = parameters {
      ($0.repetitionPenalty, $0.presencePenalty, $0.frequencyPenalty) = (2, 0.5, 0.25)
    }
    var history = Penalties.History(promptIDs: [0, 1, 2])
    history.generated = [1: 3, 4: 1]
    var logits: [Float] = [4, 4, -4, 4, -4, 4]
    var span = logits.mutableSpan
    Penalties.apply(parameters, history, to: &span)
    #expect(logits == [2, 2 - 0.5 - 0.75, -8, 4, -8 - 0.5 - 0.25, 4])
  }

  @Test func `a presence penalty keeps the most likely token from repeating`() throws {
    var sampler = sampler(parameters { ($0.temperature, $0.presencePenalty) = (0, 1) }, 3)
    let logits: [Float] = [1, 0.5, 0.2]
    #expect(try (0..<5).map { _ in try next(&sampler, logits).id } == [0, 1, 2, 0, 0])
  }

  @Test func `a bias moves a token, and can forbid it in effect`() throws {
    var forced = sampler(parameters { ($0.temperature, $0.logitBias) = (0, [2: 100]) }, 4)
    #expect(try next(&forced, [5, 4, 3, 2]).id == 2)
    var banned = sampler(parameters { $0.logitBias = [0: -100] }, 4)
    for _ in 0..<100 { #expect(try next(&banned, [5, 4, 3, 2]).id != 0) }
  }

  @Test func `no ending token is chosen before the minimum length`() throws {
    let parameters = parameters {
      ($0.temperature, $0.minimumTokens, $0.stopTokenIDs) = (0, 2, [1])
    }
    var sampler = sampler(parameters, 3, ends: [0])
    #expect(try (0..<4).map { _ in try next(&sampler, [5, 4, 3]).id } == [2, 2, 0, 0])
    #expect(sampler.ends(with: 0) && sampler.ends(with: 1) && !sampler.ends(with: 2))
    var ignoring = parameters
    ignoring.ignoreEndOfSequence = true
    var patient = self.sampler(ignoring, 3, ends: [0])
    #expect(try next(&patient, [5, 4, 3]).id == 0)
    #expect(!patient.ends(with: 0) && patient.ends(with: 1))
  }

  @Test func `log-probabilities are the model's own, whatever was applied afterwards`() throws {
    var generator = SeededGenerator(seed: 8)
    let logits = logits(1000, &generator)
    let best = Double(logits.max() ?? 0)
    let normaliser = best + logarithm(logits.reduce(0) { $0 + exponential(Double($1) - best) })
    let sorted = logits.indices.sorted { (logits[$0], $1) > (logits[$1], $0) }
    for temperature in [0, 2.0] {
      var sampler = sampler(
        parameters {
          ($0.temperature, $0.logProbabilities, $0.topK, $0.repetitionPenalty) = (temperature, 4, 50, 1.5)
        }, 1000, prompt: [1, 2, 3])
      for _ in 0..<20 {
        let token = try next(&sampler, logits)
        let logProbability = try #require(token.logProbability)
        #expect(abs(Double(logProbability) - (Double(logits[Int(token.id)]) - normaliser)) <= 1e-5)
        #expect(token.top?.map { Int($0.id) } == Array(sorted.prefix(4)))
        for entry in token.top ?? [] {
          #expect(abs(Double(entry.logProbability) - (Double(logits[Int(entry.id)]) - normaliser)) <= 1e-5)
        }
      }
    }
    var chosenOnly = sampler(parameters { $0.logProbabilities = 0 }, 1000)
    #expect(try next(&chosenOnly, logits).top == [])
    var none = sampler(parameters { _ in }, 1000)
    #expect(try next(&none, logits).logProbability == nil)
  }

  @Test("logits that leave no choice are an error", arguments: [0, 1.0])
  func broken(temperature: Double) throws {
    let parameters = parameters { $0.temperature = temperature }
    func problem(_ logits: [Float]) -> SamplingError.Problem? {
      var sampler = sampler(parameters, 20)
      return #expect(throws: SamplingError.self) { try next(&sampler, logits) }?.problem
    }
    for index in [0, 15, 16, 19] {
      var logits = [Float](repeating: 1, count: 20)
      logits[index] = .nan
      #expect(problem(logits) == .notFinite(tokenID: index))
      logits[index] = .infinity
      #expect(problem(logits) == .notFinite(tokenID: index))
    }
    #expect(problem(Array(repeating: -.infinity, count: 20)) == .nothingLeft)
    #expect(problem([1]) == .wrongCount(1))
  }

  @Test func `extreme temperatures stay numbers`() throws {
    let logits: [Float] = [50, 49.9, -100, .leastNonzeroMagnitude]
    for (temperature, only) in [(1e-12, 0), (2e-5, 0), (1e-3, 0)] as [(Double, Int32)] {
      var sampler = sampler(parameters { $0.temperature = temperature }, 4)
      for _ in 0..<50 { #expect(try next(&sampler, logits).id == only) }
    }
    var hot = sampler(parameters { $0.temperature = 1e30 }, 4)
    #expect(Set(try (0..<200).map { _ in try next(&hot, logits).id }) == [0, 1, 2, 3])
  }

  @Test func `a seed decides everything, and every part of it matters`() throws {
    var generator = SeededGenerator(seed: 4)
    let logits = logits(500, &generator, spread: 1)
    func answer(_ change: (inout SamplingParameters) -> Void) throws -> [Int32] {
      var sampler = sampler(parameters(change), 500)
      return try (0..<20).map { _ in try next(&sampler, logits).id }
    }
    let first = try answer { $0.seed = 7 }
    #expect(try answer { $0.seed = 7 } == first)
    #expect(try answer { $0.seed = 8 } != first)
    #expect(try answer { $0.seed = 7 + 1 << 32 } != first)
    #expect(try answer { ($0.seed, $0.choice) = (7, 1) } != first)
    #expect(Set(first).count > 10, "draws of one request must differ")
  }
}
