import EngineFixtures
import Engines
import JSON
import Networks
import SystemPackage
import TestSupport
import Testing

@Suite struct PlanTests {
  private func engine(_ model: SmallModel = SmallModel()) async throws -> (Lifecycle, EngineFile) {
    let life = Lifecycle()
    try await life.build(try model.write(life.directory, "A", seed: 20), "engine")
    return (life, try EngineFile(life.directory("engine").appending("rank0.engine")))
  }

  @Test(arguments: SmallModel.all)
  func `a plan reads back as it was written`(_ model: SmallModel) async throws {
    let (_, file) = try await engine(model)
    let again = try Plan(json: try JSONValue(parsing: file.planText))
    #expect(again == file.plan)
    #expect(file.plan.json.serialized() == file.planText)
    #expect(file.tensors.header.dataStart % 4096 == 0)
    for entry in file.tensors.header.entries where !entry.name.hasSuffix(".padding") {
      #expect(entry.range.lowerBound % 64 == 0, "\(entry.name) starts where vector loads and devices like it")
    }
  }

  @Test func `fusion leaves one linear for the gated MLP and no separate residual sums`() async throws {
    let (_, file) = try await engine()
    let names = file.plan.weights.keys
    #expect(names.contains("transformer.layers.0.mlp.fused_fc.weight"))
    #expect(!names.contains { $0.contains("mlp.fc.") || $0.contains("mlp.gate.") })
    #expect(!names.contains("lm_head.weight"), "a tied lm_head is the embedding table")
    guard case .concatenate(let parts)? = inner(file.plan.weights["transformer.layers.0.mlp.fused_fc.weight"]?.recipe) else {
      Issue.record("the fused weight is a concatenation"); return
    }
    #expect(parts.map { $0.inputs[0].name } == ["transformer.layers.0.mlp.gate.weight", "transformer.layers.0.mlp.fc.weight"], "upstream's order: gate, then fc")
  }
  private func inner(_ recipe: Recipe?) -> Recipe? {
    switch recipe {
    case .pack(_, let input)?, .cast(_, let input)?: inner(input)
    default: recipe
    }
  }

  @Test func `a plan of a newer format says so`() async throws {
    let (_, file) = try await engine()
    let parsed = try JSONValue(parsing: file.planText)
    var json = try #require(parsed.object)
    json["formatVersion"] = .int(Plan.formatVersion + 1)
    let error = #expect(throws: PlanFormatError.self) { try Plan(json: .object(json)) }
    #expect(error?.reason.contains("newer") == true)
  }

  @Test func `buffers are shared only by values that never meet`() async throws {
    for model in SmallModel.all {
      let (_, file) = try await engine(model)
      let plan = file.plan
      #expect(plan.slots.widths.count < plan.values.count, "sharing happens")
      var lastUse: [Int: Int] = [:], firstUse: [Int: Int] = [:]
      for (index, operation) in plan.operations.enumerated() {
        for value in operation.uses.reads + operation.uses.writes {
          lastUse[value.index] = index
          firstUse[value.index] = firstUse[value.index] ?? index
        }
      }
      for a in plan.values.indices {
        for b in plan.values.indices where a < b && plan.slots.slot[a] == plan.slots.slot[b] {
          guard let a0 = firstUse[a], let a1 = lastUse[a], let b0 = firstUse[b], let b1 = lastUse[b] else { continue }
          #expect(a1 < b0 || b1 < a0, "\(plan.values[a].name) and \(plan.values[b].name)")
        }
      }
    }
  }

  @Test func `Llama 3 scaling keeps high frequencies and divides low ones`() {
    let rotary = RotaryEmbedding(
      style: .halves, dimension: 128, base: 500_000,
      scaling: .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaximum: 8192))
    let plain = RotaryEmbedding(style: .halves, dimension: 128, base: 500_000, scaling: .none)
    let (scaled, unscaled) = (rotary.frequencies, plain.frequencies)
    #expect(scaled[0] == unscaled[0])
    #expect(scaled[63] == unscaled[63] / 8)
    for plane in 1..<64 { #expect(scaled[plane] <= scaled[plane - 1] && scaled[plane] <= unscaled[plane]) }
  }
}
