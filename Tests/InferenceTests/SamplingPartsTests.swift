import Inference
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

func exponential(_ value: Double) -> Double { exp(value) }

@Suite struct SamplingPartsTests {
  @Test(
    "Philox gives its authors' known answers",
    arguments: [
      ([0, 0, 0, 0], [0, 0], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
      (
        [0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff], [0xffff_ffff, 0xffff_ffff],
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
      ),
      (
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
      ),
    ] as [([UInt32], [UInt32], [UInt32])])
  func philox(counter: [UInt32], key: [UInt32], expected: [UInt32]) {
    #expect(CounterRandom.words(counter: SIMD4(counter), key: SIMD2(key)) == SIMD4(expected))
  }

  @Test func `uniform numbers stay below 1 and spread evenly`() {
    var buckets = [Int](repeating: 0, count: 10)
    for step in 0..<100_000 as Range<UInt64> {
      let value = CounterRandom.uniform(seed: 42, choice: 0, step: step)
      #expect(value >= 0 && value < 1)
      buckets[Int(value * 10)] += 1
    }
    for count in buckets { #expect(abs(count - 10_000) < 500) }
  }

  @Test func `the exponential is within 2⁻²² of the true one`() {
    var worst = 0.0
    var x: Float = -87
    while x <= 0 {
      let expected = exp(Double(x))
      worst = max(worst, abs(Double(VectorMath.exponential(SIMD16(repeating: x))[5]) - expected) / expected)
      x += 0.000_731
    }
    #expect(worst <= 0x1p-22, "\(worst)")
    #expect(VectorMath.exponential(SIMD16(repeating: 0))[0] == 1)
    #expect(VectorMath.exponential(SIMD16(repeating: -.infinity))[0] == 0)
    #expect(VectorMath.exponential(SIMD16(repeating: -88))[0] == 0)
  }

  @Test("sums of exponentials agree with float64", arguments: [1, 15, 16, 17, 1023, 1024, 1025, 49_152, 150_001])
  func sums(count: Int) {
    var generator = SeededGenerator(seed: UInt64(count))
    var values = (0..<count).map { _ in Float.random(in: -20...0, using: &generator) }
    let expected = values.reduce(0) { $0 + exp(Double($1)) }
    #expect(abs(VectorMath.sumOfExponentials(values.span, minus: 0) - expected) <= 1e-6 * expected)
    var sums: [Double] = []
    let originals = values
    var span = values.mutableSpan
    VectorMath.exponentiate(&span, minus: 0, blockSums: &sums)
    #expect(abs(sums.reduce(0, +) - expected) <= 1e-6 * expected)
    #expect(zip(values, originals).allSatisfy { abs(Double($0) - exp(Double($1))) <= 0x1p-22 * exp(Double($1)) })
  }

  @Test func `candidates are ordered by logit, then by id`() {
    let logits: [Float] = [
      -.infinity, -3e38, -1, -.leastNonzeroMagnitude, -0.0, 0, .leastNonzeroMagnitude, 1, 3e38, .infinity,
    ]
    for (lower, a) in logits.enumerated() {
      #expect(Candidate(id: 9, logit: a).logit == a)
      #expect(Candidate(id: 9, logit: a).id == 9)
      for b in logits[(lower + 1)...] where a != b {
        #expect(Candidate(id: 9, logit: b) < Candidate(id: 1, logit: a))
      }
      #expect(Candidate(id: 1, logit: a) < Candidate(id: 2, logit: a))
    }
    #expect(Candidate(id: 1, logit: 0) < Candidate(id: 2, logit: -0.0))
    #expect(Candidate(id: 1, logit: -0.0) < Candidate(id: 2, logit: 0))
  }

  @Test func `every parameter out of range is refused by its name`() {
    typealias Case = (SamplingParameterError.Parameter, (inout SamplingParameters) -> Void)
    let cases: [Case] = [
      (.temperature, { $0.temperature = -0.1 }), (.temperature, { $0.temperature = .nan }),
      (.temperature, { $0.temperature = .infinity }), (.topK, { $0.topK = -1 }), (.topP, { $0.topP = 1.1 }),
      (.topP, { $0.topP = -0.1 }), (.topP, { $0.topP = .nan }), (.minP, { $0.minP = 2 }), (.minP, { $0.minP = .nan }),
      (.repetitionPenalty, { $0.repetitionPenalty = 0 }), (.repetitionPenalty, { $0.repetitionPenalty = .nan }),
      (.presencePenalty, { $0.presencePenalty = .nan }), (.presencePenalty, { $0.presencePenalty = 101 }),
      (.frequencyPenalty, { $0.frequencyPenalty = -.infinity }), (.logitBias, { $0.logitBias = [100: 1] }),
      (.logitBias, { $0.logitBias = [-1: 1] }), (.logitBias, { $0.logitBias = [1: .nan] }),
      (.logitBias, { $0.logitBias = [1: 101] }), (.maximumTokens, { $0.maximumTokens = 0 }),
      (.minimumTokens, { $0.minimumTokens = -1 }), (.minimumTokens, { ($0.maximumTokens, $0.minimumTokens) = (3, 4) }),
      (.stopTokenIDs, { $0.stopTokenIDs = [100] }), (.logProbabilities, { $0.logProbabilities = -1 }),
      (.logProbabilities, { $0.logProbabilities = 101 }),
    ]
    for (parameter, change) in cases {
      var parameters = SamplingParameters()
      change(&parameters)
      let error = #expect(throws: SamplingParameterError.self) { try parameters.validate(vocabularySize: 100) }
      #expect(error?.parameter == parameter)
      #expect(error?.description.hasPrefix("\(parameter.rawValue) is ") == true)
    }
    for parameter in SamplingParameterError.Parameter.allCases {
      #expect(cases.contains { $0.0 == parameter }, "no case for \(parameter)")
    }
  }

  @Test func `the widest allowed values are taken`() throws {
    var parameters = SamplingParameters()
    (parameters.topP, parameters.minP, parameters.topK, parameters.temperature) = (0, 1, 1_000_000, 1000)
    (parameters.logitBias, parameters.stopTokenIDs) = ([0: -100, 99: 100], [0, 99])
    (parameters.maximumTokens, parameters.minimumTokens, parameters.logProbabilities) = (1, 1, 100)
    try parameters.validate(vocabularySize: 100)
    try SamplingParameters().validate(vocabularySize: 1)
  }

  @Test func `a duration is counted in its bucket and all larger ones`() {
    var histogram = LatencyHistogram()
    for seconds in [0.0005, 0.001, 0.3, 1000] { histogram.record(seconds) }
    #expect(histogram.count == 4)
    #expect(abs(histogram.sum - 1000.3015) < 1e-9)
    #expect(histogram.cumulativeCounts.first == 2)
    #expect(histogram.cumulativeCounts.last == 3)
    #expect(histogram.cumulativeCounts[LatencyHistogram.bounds.firstIndex(of: 0.25) ?? 0] == 2)
    #expect(histogram.cumulativeCounts[LatencyHistogram.bounds.firstIndex(of: 0.5) ?? 0] == 3)
  }
}
