import EngineFixtures
import Engines
import Networks
import TestSupport
import Testing

import CUDABackend

/// What becomes one kernel with a product of few rows.
@Suite struct RowFusionTests {
  private func plan(_ model: SmallModel) async throws -> Plan {
    var life = Lifecycle()
    life.target = CUDATarget()
    try await life.build(try model.write(life.directory, "A", seed: 1), "engine")
    return try EngineDirectory(life.directory("engine")).ranks[0].plan
  }

  @Test func `every norm and every sum of a layer goes to a product beside it`() async throws {
    let plan = try await plan(SmallModel(intermediate: 48))
    let rows = RowFusion.all(in: plan)
    for (index, operation) in plan.operations.enumerated() {
      guard case .linear(let linear) = operation else { continue }
      let row = rows[index]
      if linear.output == plan.operations.last?.uses.writes.first {
        // The vocabulary is odd.
        #expect(row == nil)
      } else if linear.weight.contains("qkv") || linear.weight.contains("fc") {
        #expect(row?.norm != nil && row?.sum == nil)
      } else {
        #expect(row?.norm == nil && row?.sum != nil)
      }
    }
    let steps = ResolvedStep.resolve(plan) { _ in 1 }
    for (index, step) in steps.enumerated() {
      switch step.operation {
      // The last one stands behind a selection of rows.
      case .norm: #expect(step.isNormedInRow == (index + 2 < steps.count) && step.isSummedInRow == (index > 1 && index + 2 < steps.count))
      case .add: #expect(step.isSummedInRow)
      default: #expect(!step.isNormedInRow && !step.isSummedInRow)
      }
    }
  }

  @Test func `a sum that no product does is left to the norm, which is then left apart`() async throws {
    // 40 inputs of the last product of a layer are no whole steps of 16.
    let plan = try await plan(SmallModel())
    let rows = RowFusion.all(in: plan)
    for (index, operation) in plan.operations.enumerated() {
      guard case .linear(let linear) = operation else { continue }
      if linear.weight.contains("proj") { #expect(rows[index] == nil) }
      if linear.weight.contains("qkv") { #expect((rows[index]?.norm != nil) == (index < 4)) }
      if linear.weight.contains("dense") { #expect(rows[index]?.sum != nil) }
    }
  }

  @Test func `a norm whose product writes to what it reads is left apart`() async throws {
    let plan = try await plan(SmallModel(vocabulary: 48, tied: false))
    let last = plan.operations.count - 1
    guard case .linear(let logits) = plan.operations[last], case .norm(let norm) = plan.operations[last - 1] else { throw Mismatch() }
    let shares = plan.slots.slot[logits.output.index] == plan.slots.slot[norm.input.index]
    #expect((RowFusion.all(in: plan)[last]?.norm == nil) == shares)
  }
  private struct Mismatch: Error {}
}

/// How products go to `dk_linear_row`, which takes much for granted: see `dk_linear_row_arguments`.
@Suite struct RowProductShapeTests {
  @Test func `every shape is one that the kernel can compute`() {
    for multiprocessors in [1, 7, 78, 132] {
      for limit in [99 << 10, 163 << 10, 227 << 10] {
        for (panels, inputs) in [(384, 4096), (256, 4096), (256, 14336), (896, 4096), (8016, 4096), (3, 16), (1, 32768), (36, 1536)] {
          for (isGated, rows) in [(false, 1), (true, 1), (false, 2), (true, 8)] {
            let shape = RowProductShape(
              panels: panels, inputs: inputs, rows: rows, isGated: isGated, multiprocessors: multiprocessors, sharedMemory: limit)
            let tiles = isGated ? 16 : 32, stage = shape.own * (isGated ? 2 : 1) * tiles * 512 + (rows == 1 ? 0 : tiles * 256)
            let before = 1024 + (rows == 1 ? (inputs * 2 + 127) / 128 * 128 : 0)
            #expect(RowProductShape.kernels.contains(shape.kernel) && shape.kernel.contains("rows") == (rows > 1))
            #expect((1...8).contains(shape.own) && (2...32).contains(shape.stages))
            #expect(before + shape.stages * stage == shape.sharedMemory && shape.sharedMemory <= limit)
          }
        }
      }
    }
  }

  @Test func `those that were measured are chosen as then`() {
    func shape(_ outputs: Int, _ inputs: Int, isGated: Bool = false) -> RowProductShape {
      RowProductShape(
        panels: outputs / 16 / (isGated ? 2 : 1), inputs: inputs, rows: 1, isGated: isGated, multiprocessors: 132, sharedMemory: 227 << 10)
    }
    let (gate, down) = (shape(28672, 4096, isGated: true), shape(2048, 8192))
    #expect(gate.own == 4 && gate.stages == 3 && gate.sharedMemory > 200 << 10)
    #expect(down.own == 1 && down.sharedMemory <= 86 << 10)
    #expect(RowProductShape.fits(inputs: 4096, outputs: 6144, isGated: false, isNormed: true))
    #expect(!RowProductShape.fits(inputs: 50, outputs: 6144, isGated: false, isNormed: false))
    #expect(!RowProductShape.fits(inputs: 8208, outputs: 6144, isGated: false, isNormed: true))
  }
}
