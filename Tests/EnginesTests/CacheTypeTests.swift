import CPUBackend
import EngineFixtures
import Engines
import JSON
import Tensors
import TestSupport
import Testing

/// How keys and values are kept is the engine's: build decides, and no refit changes it.
@Suite struct CacheTypeTests {
  static let keptTypes: [ElementType] = [.float32, .bfloat16]
  private func kept(_ life: Lifecycle, _ name: String) throws -> Set<ElementType> {
    Set(try EngineDirectory(life.directory(name)).ranks.flatMap { $0.plan.caches.map(\.elementType) })
  }

  @Test(arguments: SmallModel.all) func `where nobody says, it is bfloat16 with weights of 16 bits and float32 with those of 32`(_ model: SmallModel) async throws {
    let life = Lifecycle.unmeasured()
    try await life.build(try model.write(life.directory, "A", seed: 90), "engine")
    #expect(try kept(life, "engine") == [model.type == .float32 ? .float32 : .bfloat16])
  }

  @Test(arguments: SmallModel.all, keptTypes) func `refitting A with B is building B with A's type`(_ model: SmallModel, _ type: ElementType) async throws {
    let life = Lifecycle.unmeasured()
    let (a, b) = (try model.write(life.directory, "A", seed: 91), try model.write(life.directory, "B", seed: 92))
    try await life.build(a, "A-engine", scope: .all, cache: type)
    #expect(try kept(life, "A-engine") == [type])
    try await life.build(b, "B-engine", scope: .all, cache: type)
    try await life.refit("A-engine", with: b, to: "refitted")
    life.expectSame("refitted", "B-engine", "of a checkpoint")
    #expect(contents(life.directory("refitted/config.json")) == contents(life.directory("B-engine/config.json")))
    // An engine that keeps them otherwise is a source like others.
    let other: ElementType = type == .float32 ? .bfloat16 : .float32
    try await life.build(b, "B-other", scope: .all, cache: other)
    #expect(life.rankFiles("B-other") != life.rankFiles("B-engine"))
    try await life.refit("A-engine", with: life.directory("B-other"), to: "refitted-of-engine")
    life.expectSame("refitted-of-engine", "B-engine", "of an engine with another type")
    try await life.strip("A-engine", to: "stripped")
    try await life.refit("stripped", with: b, to: "filled")
    life.expectSame("filled", "B-engine", "of a stripped engine")
  }

  @Test(arguments: keptTypes) func `new weights of a running engine leave its type`(_ type: ElementType) async throws {
    let life = Lifecycle.unmeasured()
    let model = SmallModel(layers: 1)
    try await life.build(try model.write(life.directory, "A", seed: 93), "engine", scope: .all, cache: type)
    let b = try model.write(life.directory, "B", seed: 94)
    try await life.build(b, "B-other", scope: .all, cache: type == .float32 ? .bfloat16 : .float32)
    let live = try await LiveRefitter(try EngineDirectory(life.directory("engine")))
    // Digests are of whole rank files with their plans, so they are those of an engine that keeps the type.
    try await life.build(b, "B-engine", scope: .all, cache: type)
    let same = try #require(try Lineage(directory: life.directory("B-engine"))).ranks
    #expect(same != (try #require(try Lineage(directory: life.directory("B-other"))).ranks))
    for source in [b, life.directory("B-other")] {
      let made = try await live.make(LiveSource(path: source.string))
      #expect(made.lineage.ranks == same && made.made > 0, "\(source)")
    }
  }

  @Test func `a type that no kernel reads is not built`() async throws {
    let life = Lifecycle.unmeasured()
    let checkpoint = try SmallModel(layers: 1).write(life.directory, "A", seed: 95)
    for type in [ElementType.float16, .int8, .float8E4M3] {
      let error = await #expect(throws: EngineError.self) { try await life.build(checkpoint, "engine", cache: type) }
      #expect(error?.description.contains("element type of cache") == true, "\(error?.description ?? "")")
    }
    #expect(names(in: life.directory("engine")) == nil)
  }
}
