import Tensors
import Testing

@Suite struct LineSummaryTests {
  @Test func linesOfAllLayersAndRanksAreOne() {
    let lines = (0..<4).flatMap { rank in (0..<32).map { "rank \(rank)  transformer.layers.\($0).mlp.gate.weight  engine [8, 8]" } } + ["rank 0  lm_head.weight"]
    #expect(LineSummary.lines(lines) == ["rank *  transformer.layers.*.mlp.gate.weight  engine [8, 8] (128)", "rank 0  lm_head.weight"])
  }

  @Test func noMoreThanTenAreShownAndEachIsShort() {
    let lines = (0..<100).map { "line \($0) \(String(repeating: "x", count: 1000))" }
    let shown = LineSummary.lines(lines)
    #expect(shown.count == 11 && shown.last == "… and 90 more" && shown.allSatisfy { $0.count <= 300 })
  }
}
