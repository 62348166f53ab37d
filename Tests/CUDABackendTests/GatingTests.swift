import EngineFixtures
import Engines
import Networks
import TestSupport
import Testing

import CUDABackend

/// Which operations become one kernel.
@Suite struct GatingTests {
  private func plan(_ model: SmallModel) async throws -> Plan {
    var life = Lifecycle()
    life.target = CUDATarget()
    try await life.build(try model.write(life.directory, "A", seed: 1), "engine")
    return try EngineDirectory(life.directory("engine")).ranks[0].plan
  }

  @Test func `an activation is computed with the product before it, into a buffer that this does not read`() async throws {
    let plan = try await plan(SmallModel(intermediate: 48))
    let gatings = Gating.all(in: plan)
    #expect(gatings.count == 3)
    for (index, gating) in gatings {
      guard case .linear(let linear) = plan.operations[index] else { Issue.record("no product"); continue }
      // Why the plan's buffer for it will not do: it is the product's own input.
      #expect(plan.slots.slot[gating.output.index] == plan.slots.slot[linear.input.index])
    }
  }

  @Test func `halves that are no whole panels are left apart`() async throws {
    #expect(Gating.all(in: try await plan(SmallModel())).isEmpty)
  }

  @Test func `what only products read is written for them`() async throws {
    let plan = try await plan(SmallModel(intermediate: 48))
    let steps = ResolvedStep.resolve(plan) { _ in 1 }
    for step in steps {
      switch step.operation {
      case .linear: #expect(step.hasPackedInput)
      case .norm, .attention, .gated: #expect(step.packsOutput)
      default: #expect(!step.packsOutput)
      }
    }
  }
}
