import CPUBackend
import Checkpoints
import EngineFixtures
import Engines
import Execution
import Families
import JSON
import Networks
import RecordingBackend
import TestSupport
import Testing

/// Layers whose attention and MLP read one normed state, both of whose results are added: `x + attention(n(x)) + mlp(n(x))`. No family
/// here has such layers; networks, plans and back ends take them.
@Suite struct ParallelLayerTests {
  private let model = SmallModel(layers: 2, type: .float32, tied: false)

  private func serialNetwork() throws -> Network {
    var network = try ModelFamily.network(config: try CheckpointConfig(parsing: model.config), rank: 0, sharesEmbedding: false)
    _ = network.assignCaches(.float32)
    return network
  }
  /// The second norm of a layer left out, and attention's result added after the MLP's other operations.
  private func parallel(_ network: Network) throws -> Network {
    var network = network
    var operations: [Operation] = []
    var normed = ValueID(0), dropped: ValueID?, held: Operation?
    for operation in network.operations {
      switch operation {
      case .norm(let norm) where norm.weight.hasSuffix("post_layernorm.weight"): dropped = norm.output
      case .norm(let norm):
        normed = norm.output
        operations.append(operation)
      case .add where held == nil: held = operation
      case .add:
        operations += [try #require(held), operation]
        held = nil
      default: operations.append(operation.renumbered { $0 == dropped ? normed : $0 })
      }
    }
    network.operations = operations
    network.fuse()
    return network
  }
  /// A plan with the operations of a network in the place of its own.
  private func plan(_ plan: JSONValue, of network: Network) -> JSONValue {
    var plan = plan
    let slots = BufferSlots(values: network.values, operations: network.operations)
    plan[at: "values"] = .array(
      zip(network.values, slots.slot).map { ["name": .string($0.name), "width": .int($0.width), "rows": .string($0.rows.rawValue), "slot": .int($1)] })
    plan[at: "slots"] = .ints(slots.widths)
    plan[at: "operations"] = .array(network.operations.map(\.json))
    var weights = plan["weights"]?.object ?? [:]
    for name in weights.keys where network.weights[name] == nil { weights[name] = nil }
    plan[at: "weights"] = .object(weights)
    return plan
  }

  @Test func `attention and MLP that read one value are planned, walked, and computed as a reference in doubles does`() async throws {
    let life = Lifecycle.unmeasured()
    try await life.build(try model.write(life.directory, "A", seed: 70), "engine")
    var forge = try EngineForge(life.directory("engine"))
    var serial = try serialNetwork()
    let network = try parallel(serial)
    serial.fuse()
    #expect(plan(forge.plans[0], of: serial) == forge.plans[0], "nothing else is changed")
    forge.plans = [plan(forge.plans[0], of: network)]

    let read = Dictionary(grouping: network.operations.compactMap { if case .linear(let linear) = $0 { linear.input } else { nil } }) { $0 }
    #expect(read.values.filter { $0.count == 2 }.count == model.layers)
    #expect(try Plan(json: forge.plans[0]).operations == network.operations)
    // A buffer that the MLP finds overwritten is found by the check.
    var spoiled = forge.plans[0]
    let qkv = try #require(spoiled["operations"]?.array?[spoiled.operations("linear")[0]])
    let places = try ["input", "output"].map { try #require(qkv[$0]?.int) }
    let width = try #require(spoiled["values"]?.array?[places[1]]["width"]?.int)
    spoiled[at: "values"][at: places[1]][at: "slot"] = try #require(spoiled["values"]?.array?[places[0]]["slot"])
    spoiled.widen(value: places[1], to: width)
    #expect(throws: PlanFormatError.self) { try Plan(json: spoiled) }

    #expect(try forge.write(to: life.directory("parallel")))
    let directory = try EngineDirectory(life.directory("parallel"))
    let tokens: [Int32] = (0..<20).map { $0 * 7 % 37 }
    let batches = [(0..<18, SequenceSlice.Phase.prefill), (18..<19, .decode), (19..<20, .decode)].map { rows, phase in
      Batch(
        tokens: Array(tokens[rows]),
        sequences: [SequenceSlice(rows: 0..<rows.count, firstPosition: rows.lowerBound, blockTable: [1, 0], phase: phase, logitRows: rows.count)])
    }
    var options = ExecutorOptions()
    options.threadCount = 2
    var found: [[Float]] = []
    let engine = try CPUEngine(directory, options: options)
    for batch in batches { unsafe try engine.step(batch) { unsafe found.append(Array($1)) } }
    let reference = ReferenceModel(model, seed: 70)
    let (wanted, other) = (reference.logits(tokens, isParallel: true), reference.logits(tokens))
    func distance(_ other: [[Double]]) -> Double { zip(found.joined(), other.joined()).reduce(0) { max($0, abs(Double($1.0) - $1.1)) } }
    #expect(found.count == 20 && distance(wanted) < 2e-4 && distance(other) > 0.1, "\(distance(wanted)), \(distance(other))")

    let recording = try Recording().open(directory, options: options)
    var rows = 0
    for batch in batches { unsafe try recording.step(batch) { _, _ in rows += 1 } }
    #expect(rows == 20)
  }
}
