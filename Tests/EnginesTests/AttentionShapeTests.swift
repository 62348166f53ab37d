import CPUBackend
import EngineFixtures
import Execution
import Engines
import JSON
import TestSupport
import Testing

/// A plan says for each attention how many heads it has and how scores are scaled: none stands for another.
@Suite struct AttentionShapeTests {
  private let model = SmallModel(layers: 2, type: .float32, tied: false)
  private static let layer = "transformer.layers.1.attention."

  private func logits(_ life: Lifecycle, _ name: String) throws -> [Float] {
    var options = ExecutorOptions()
    options.threadCount = 2
    let engine = try CPUEngine(try EngineDirectory(life.directory(name)), options: options)
    let tokens: [Int32] = (0..<20).map { $0 * 7 % 37 }
    var found: [Float] = []
    for (rows, first, phase) in [(0..<18, 0, SequenceSlice.Phase.prefill), (18..<19, 18, .decode), (19..<20, 19, .decode)] {
      let batch = Batch(
        tokens: Array(tokens[rows]),
        sequences: [SequenceSlice(rows: 0..<rows.count, firstPosition: first, blockTable: [1, 0], phase: phase, wantsLogits: true)])
      unsafe try engine.step(batch) { unsafe found += Array($1) }
    }
    return found
  }
  private func built() async throws -> (Lifecycle, EngineForge, qkv: Matrix, dense: Matrix) {
    let life = Lifecycle.unmeasured()
    try await life.build(try model.write(life.directory, "A", seed: 50), "engine")
    let tensors = model.tensors(rank: 0, seed: 50)
    let qkv = try #require(tensors.first { $0.name == Self.layer + "qkv.weight" })
    let dense = try #require(tensors.first { $0.name == Self.layer + "dense.weight" })
    return (life, try EngineForge(life.directory("engine")), qkv.matrix, dense.matrix)
  }

  @Test func `an attention with more heads than the first has its own number`() async throws {
    var (life, forge, qkv, dense) = try await built()
    let size = model.headSize
    // Twice the heads. The added ones share the key-value heads of those before them, and nothing reads what they give.
    let places = [0, 1, 4, 5]
    var wide = Matrix(rows: 12 * size, columns: model.hidden) { 0.125 }
    var reader = Matrix(rows: model.hidden, columns: 8 * size) { 0 }
    func copyRow(_ from: Int, _ to: Int) {
      wide.values.replaceSubrange(to * wide.columns..<(to + 1) * wide.columns, with: qkv.values[from * wide.columns..<(from + 1) * wide.columns])
    }
    for head in 0..<4 {
      for d in 0..<size {
        copyRow(head * size + d, places[head] * size + d)
        for row in 0..<model.hidden {
          reader.values[row * reader.columns + places[head] * size + d] = dense.values[row * dense.columns + head * size + d]
        }
      }
    }
    for d in 0..<4 * size { copyRow(4 * size + d, 8 * size + d) }
    var plan = forge.plans[0]
    let attention = plan.operations("attention")[1]
    let operation = plan[at: "operations"][at: attention]
    plan[at: "operations"][at: attention][at: "heads"] = 8
    plan.widen(value: try #require(operation["input"]?.int), to: 12 * size)
    plan.widen(value: try #require(operation["output"]?.int), to: 8 * size)
    plan.reshape(weight: Self.layer + "qkv.weight", to: [12 * size, model.hidden])
    plan.reshape(weight: Self.layer + "dense.weight", to: [model.hidden, 8 * size])
    forge.plans = [plan]
    forge.weights[0][Self.layer + "qkv.weight"] = EngineForge.panels(wide)
    forge.weights[0][Self.layer + "dense.weight"] = EngineForge.panels(reader)
    #expect(try forge.write(to: life.directory("wide")))
    #expect(try logits(life, "wide") == logits(life, "engine"))
  }

  @Test func `an attention is scaled by its own factor`() async throws {
    var (life, forge, qkv, _) = try await built()
    // Queries halved and scores doubled: the same to the bit.
    for index in 0..<4 * model.headSize * model.hidden { qkv.values[index] /= 2 }
    let attention = forge.plans[0].operations("attention")[1]
    let scale = try #require(forge.plans[0][at: "operations"][at: attention]["scale"]?.double)
    forge.plans[0][at: "operations"][at: attention][at: "scale"] = .double(scale * 2)
    forge.weights[0][Self.layer + "qkv.weight"] = EngineForge.panels(qkv)
    #expect(try forge.write(to: life.directory("scaled")))
    #expect(try logits(life, "scaled") == logits(life, "engine"))
  }
}
