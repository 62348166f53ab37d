import TestSupport
import Testing

@Suite struct Gemma2FileTests {
  let directory = TemporaryDirectory(inMemory: true)

  @Test func `a GGUF file of Gemma 2 says its window and bounds, or means those of llama.cpp`() throws {
    let said = try FamilyFile("gemma2", in: directory)
    #expect(said.warnings == [] && said.attentions.map(\.window) == [16, nil, 16, nil] && said.attentions.allSatisfy { $0.softCap == 2 && $0.scale == 0.25 && $0.rotary == 0 })
    #expect(said.unaries == [.softCap(3)])
    let keys = ["gemma2.attention.sliding_window", "gemma2.attn_logit_softcapping", "gemma2.final_logit_softcapping"]
    let silent = try FamilyFile("gemma2", without: keys, in: directory)
    #expect(silent.warnings.count == 3 && silent.attentions.map(\.window) == [4096, nil, 4096, nil] && silent.attentions.allSatisfy { $0.softCap == 50 })
    #expect(silent.unaries == [.softCap(30)])
  }
}
