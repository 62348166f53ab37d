import CPUBackend
import EngineFixtures
import Engines
import JSON
import SystemPackage
import TestSupport
import Testing

/// Ranks copy from each other's buffers and wait for each other: plans that do not belong together are refused together.
@Suite struct RankAgreementTests {
  /// Two models of which each gives one rank, and what is wrong with the pair.
  struct Pair: CustomTestStringConvertible {
    var name: String
    var one: SmallModel
    var other: SmallModel
    var testDescription: String { name }
  }
  private static let pairs: [Pair] = [
    .init(name: "hidden width", one: .init(tensorParallel: 2), other: .init(hidden: 64, tensorParallel: 2)),
    .init(name: "number of collectives", one: .init(tensorParallel: 2), other: .init(layers: 2, tensorParallel: 2)),
    .init(name: "vocabulary", one: .init(tensorParallel: 2), other: .init(vocabulary: 41, tensorParallel: 2)),
    .init(name: "vocabulary within the padding", one: .init(vocabulary: 38, tensorParallel: 2), other: .init(vocabulary: 37, tensorParallel: 2)),
    .init(name: "element type", one: .init(tensorParallel: 2), other: .init(type: .float16, tensorParallel: 2)),
    .init(name: "split of the embedding", one: .init(tensorParallel: 2), other: .init(tensorParallel: 2, parallelEmbedding: 0)),
    .init(name: "width between stages", one: .init(pipelineParallel: 2), other: .init(hidden: 64, pipelineParallel: 2)),
    .init(name: "vocabulary of the last stage", one: .init(vocabulary: 64, pipelineParallel: 2), other: .init(pipelineParallel: 2)),
  ]

  @Test(arguments: pairs) func `ranks of two models do not open together`(_ pair: Pair) async throws {
    for swapped in [false, true] {
      let life = Lifecycle.unmeasured()
      let (one, other) = swapped ? (pair.other, pair.one) : (pair.one, pair.other)
      try await life.build(try one.write(life.directory, "A", seed: 70), "engine")
      try await life.build(try other.write(life.directory, "B", seed: 70), "other")
      remove(life.directory("engine/lineage.json"))
      life.directory.write("engine/rank1.engine", try #require(contents(life.directory("other/rank1.engine"))))
      let error = #expect(throws: EngineError.self) { try EngineDirectory(life.directory("engine")) }
      guard let error, case .invalidPlan(let reason) = error.problem else { Issue.record("\(error as Any)"); continue }
      #expect(reason.contains("rank"), "\(reason)")
    }
  }

  /// The plans of a rank, changed by hand: all of them are sound alone.
  @Test(arguments: ["a sum less", "a sum more", "limits", "layers of the configuration", "target", "cache", "rotaries", "base of a rotary embedding"])
  func `one rank that does something else is refused`(_ change: String) async throws {
    let life = Lifecycle.unmeasured()
    try await life.build(try SmallModel(tensorParallel: 2).write(life.directory, "A", seed: 71), "engine")
    var forge = try EngineForge(life.directory("engine"))
    #expect(try forge.write(to: life.directory("same")))
    _ = try CPUEngine(try EngineDirectory(life.directory("same")))
    var operations = try #require(forge.plans[1]["operations"]?.array)
    let sum = forge.plans[1].operations("allReduce")[2]
    switch change {
    case "a sum less": operations.remove(at: sum)
    case "a sum more": operations.insert(operations[sum], at: sum)
    case "limits": forge.plans[1][at: "limits"][at: "tokens"] = 1
    case "cache": forge.plans[1][at: "caches"][at: 0][at: "elementType"] = "F32"
    case "rotaries": forge.plans[1][at: "rotaries"] = .array([forge.plans[1][at: "rotaries"][at: 0], forge.plans[1][at: "rotaries"][at: 0]])
    case "base of a rotary embedding": forge.plans[1][at: "rotaries"][at: 0][at: "base"] = 777
    case "target": forge.plans[1][at: "target"] = "cuda"
    default: break
    }
    forge.plans[1][at: "operations"] = .array(operations)
    #expect(try forge.write(to: life.directory("forged")))
    if change == "layers of the configuration" {
      let config = try #require(text(life.directory("forged/config.json")))
      life.directory.write("forged/config.json", config.replacing("\"num_hidden_layers\": 3", with: "\"num_hidden_layers\": 1073741824"))
    }
    #expect(throws: EngineError.self) { try EngineDirectory(life.directory("forged")) }
  }
}
