import TestSupport
import Testing
import WeightSources

@Suite struct GraniteFileTests {
  let directory = TemporaryDirectory(inMemory: true)

  @Test func `a GGUF file of Granite says its factors, and has none where it says nothing, but for the logits`() throws {
    let said = try FamilyFile("granite", in: directory)
    #expect(said.warnings == [] && said.embeddingScale == 3 && said.attentions.allSatisfy { abs($0.scale - 0.21) < 1e-7 })
    let factors = said.unaries.compactMap { if case .scale(let factor) = $0 { factor } else { nil } }
    #expect(factors.count == 9 && factors.dropLast().allSatisfy { $0 == 0.45 } && abs(factors[8] - 1 / 1.7) < 1e-6)
    let silent = try FamilyFile("granite", without: ["granite.embedding_scale", "granite.attention.scale", "granite.residual_scale"], in: directory)
    #expect(silent.warnings.count == 3 && silent.embeddingScale == 1 && silent.unaries.count == 1)
    #expect(silent.attentions.allSatisfy { abs($0.scale - 1 / Float(8).squareRoot()) < 1e-7 })
    let error = #expect(throws: WeightSourceError.self) { try FamilyFile("granite", without: ["granite.logit_scale"], in: directory) }
    #expect("\(try #require(error))".contains("granite.logit_scale"))
  }
}
