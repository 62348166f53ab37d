import Tensors
import Testing

@Suite struct NameSummaryTests {
  @Test func aFewNamesAreAllShown() {
    #expect(NameSummary(["lm_head.weight", "model.norm.weight"]).description == "lm_head.weight, model.norm.weight")
    #expect(NameSummary([]).description == "")
  }

  @Test func namesThatDifferInALayerAreOneEntry() {
    let names = (0..<32).flatMap { ["model.layers.\($0).mlp.up_proj.weight", "model.layers.\($0).mlp.gate_proj.weight"] }
    #expect(
      NameSummary(names).description == "model.layers.*.mlp.up_proj.weight (32), model.layers.*.mlp.gate_proj.weight (32)")
  }

  @Test func noMoreThanTheLimitAreShownAndTheRestIsCounted() {
    let names = (0..<25).map { "tensor_\($0)" }
    let text = NameSummary(names).description
    #expect(text.hasPrefix("tensor_0, tensor_1, "))
    #expect(text.hasSuffix("tensor_9, … and 15 more"))
  }

  @Test func whatIsShownStaysShortWhateverTheNames() {
    let names = (0..<1000).map { "\(String(repeating: "x", count: 500))\n\($0)y\(String(repeating: "z", count: 500))" }
    let text = NameSummary(names).description
    #expect(text.count < 230)
    #expect(!text.contains("\n"))
    #expect(text.hasSuffix("more"))
  }

  @Test func aCommonPrefixIsOfWholeComponents() {
    #expect(NameSummary.commonPrefix(["base_model.model.a", "base_model.model.b.c"]) == "base_model.model.")
    #expect(NameSummary.commonPrefix(["model.a", "modelling.b"]) == nil)
    #expect(NameSummary.commonPrefix(["model.a"]) == nil)
  }
}
