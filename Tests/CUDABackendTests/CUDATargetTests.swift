import CUDABackend
import EngineFixtures
import Engines
import Execution
import SystemPackage
import Tensors
import TestSupport
import Testing

/// Engines for a card, made where there is none.
@Suite struct CUDATargetTests {
  private func life() -> Lifecycle {
    var life = Lifecycle()
    life.target = CUDATarget()
    return life
  }

  @Test func `an engine is built, refitted, stripped and filled without a card, with equal bytes`() async throws {
    let life = life()
    let (one, other) = (try SmallModel().write(life.directory, "A", seed: 1), try SmallModel().write(life.directory, "B", seed: 2))
    try await life.build(one, "engine-A", scope: .all)
    try await life.build(other, "engine-B", scope: .all)
    try await life.refit("engine-A", with: other, to: "refitted")
    life.expectSame("refitted", "engine-B", "refit(build(A), B) is build(B)")
    try await life.strip("engine-A", to: "stripped")
    try await life.refit("stripped", with: one, to: "filled")
    life.expectSame("filled", "engine-A", "refit(strip(build(A)), A) is build(A)")
    #expect(life.rankFiles("engine-A") != life.rankFiles("engine-B"))
  }

  @Test func `its weights are the processor's, byte for byte`() async throws {
    let life = life(), processor = Lifecycle()
    let model = try SmallModel().write(life.directory, "A", seed: 3)
    try await life.build(model, "engine")
    try await processor.build(model, "engine")
    let (mine, others) = (try EngineDirectory(life.directory("engine")), try EngineDirectory(processor.directory("engine")))
    let (plan, other) = (mine.ranks[0].plan, others.ranks[0].plan)
    #expect(plan.target == "cuda" && other.target == "cpu" && plan.weights == other.weights && plan.operations == other.operations)
    for name in plan.weights.keys {
      #expect(try EngineWeightBytes.of(name, mine.ranks[0]) == EngineWeightBytes.of(name, others.ranks[0]), "\(name)")
    }
  }

  @Test func `what the kernels cannot do is refused by build`() async throws {
    for (model, cache, word) in [
      (SmallModel(type: .float32), nil, "float32"), (SmallModel(type: .float16), nil, "float16"), (SmallModel(tensorParallel: 2), nil, "2 ranks"),
      (SmallModel(headSize: 320), nil, "320"), (SmallModel(), ElementType.float32, "--kv_cache_dtype"),
    ] {
      let life = life()
      let checkpoint = try model.write(life.directory, "A", seed: 4)
      let error = await #expect(throws: (any Error).self) { try await life.build(checkpoint, "engine", cache: cache) }
      #expect(error.map { "\($0)" }?.contains(word) == true, "\(error.map { "\($0)" } ?? "")")
      #expect(names(in: life.directory("engine")) == nil)
    }
  }

  @Test func `a stripped engine and one for another target are refused before a card is looked for`() async throws {
    let life = life()
    try await life.build(try SmallModel().write(life.directory, "A", seed: 6), "engine", strip: true)
    let stripped = #expect(throws: EngineError.self) { _ = try CUDA().open(try EngineDirectory(life.directory("engine")), options: .init()) }
    #expect(stripped?.description.contains("stripped") == true)
    let processor = Lifecycle()
    try await processor.build(try SmallModel().write(life.directory, "B", seed: 6), "engine")
    let other = #expect(throws: EngineError.self) { _ = try CUDA().open(try EngineDirectory(processor.directory("engine")), options: .init()) }
    #expect(other?.description.contains("built for \"cpu\"") == true)
  }
}
