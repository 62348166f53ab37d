import Checkpoints
import Engines
import JSON
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// A model that is declared tied and holds two tables: what merging an adapter that trained both leaves behind.
struct TwoTablesTests {
  let life = Lifecycle()

  private func source(_ name: String, tied: Bool, equal: Bool = false, head: Bool = true, seed: UInt64 = 1) -> FilePath {
    var tiny = TinySource(hasEqualHead: equal, without: head ? [] : ["lm_head.weight"], seed: seed)
    tiny.seed = seed
    var config = tiny.config
    config["tie_word_embeddings"] = .bool(tied)
    tiny.write(config, to: life.directory(name), in: life.directory)
    return life.directory(name)
  }
  /// - Parameter timingCache: Of another build, for the same kernels.
  @discardableResult
  private func build(_ source: FilePath, _ name: String, timingCache: TimingCache = .init()) async throws -> TimingCache {
    let converter = try CheckpointConverter(ModelSource(source), mapping: Mapping(), elementType: .float32)
    try converter.write(to: life.directory("\(name)-checkpoint"))
    return try await life.build(life.directory("\(name)-checkpoint"), name, timingCache: timingCache).timingCache
  }
  private func hasHead(_ name: String) throws -> Bool {
    try EngineDirectory(life.directory(name)).ranks[0].plan.weights["lm_head.weight"] != nil
  }

  @Test func `both tables reach the engine, as if they had been declared`() async throws {
    let cache = try await build(source("wrong", tied: true), "from-wrong")
    try await build(source("right", tied: false), "from-right", timingCache: cache)
    #expect(try hasHead("from-wrong"))
    life.expectSame("from-wrong", "from-right", "two tables")
    let checkpoint = try Checkpoint(directory: life.directory("from-wrong-checkpoint"))
    #expect(checkpoint.config.tieWordEmbeddings == false)
  }

  @Test func `a head that equals the table stays shared`() async throws {
    let cache = try await build(source("copy", tied: true, equal: true), "from-copy")
    try await build(source("without", tied: true, head: false), "from-without", timingCache: cache)
    #expect(try !hasHead("from-copy"))
    life.expectSame("from-copy", "from-without", "one table")
    #expect(try ModelSource(life.directory("copy")).warnings.isEmpty && ModelSource(life.directory("copy")).model.tiesEmbeddings)
  }

  @Test func `a refit takes the head that is there, whatever is declared`() async throws {
    try await build(source("base", tied: false, seed: 2), "base-engine")
    try await build(source("right", tied: false), "from-right")
    try await life.refit("base-engine", with: source("wrong", tied: true), to: "refitted", ignoresFrozen: true)
    let (base, refitted) = (try EngineDirectory(life.directory("base-engine")), try EngineDirectory(life.directory("refitted")))
    #expect(base.ranks.count == 1)
    // The table is frozen by default; the head is the source's.
    let wanted = try EngineDirectory(life.directory("from-right"))
    #expect(try refitted.ranks[0].tensors.bytes(of: "lm_head.weight") == wanted.ranks[0].tensors.bytes(of: "lm_head.weight"))
    #expect(try refitted.ranks[0].tensors.bytes(of: "lm_head.weight") != base.ranks[0].tensors.bytes(of: "lm_head.weight"))
  }

  @Test func `an engine with one table refuses two, and says so`() async throws {
    try await build(source("without", tied: true, head: false), "shared")
    let engine = try EngineDirectory(life.directory("shared"))
    let refitter = Refitter(engine: engine)
    let two = try RefitSource(source("wrong", tied: true), for: engine)
    let error = await #expect(throws: RefitError.self) { _ = try await refitter.prepare(two) }
    #expect(error?.problems.contains(.untied) == true)
    let copy = try RefitSource(source("copy", tied: true, equal: true), for: engine)
    #expect(try await refitter.prepare(copy).warnings.isEmpty)
  }

  @Test func `what a source's files give cause to say is a refit's warning, and an error under strict`() async throws {
    try await build(source("right", tied: false), "engine")
    let engine = try EngineDirectory(life.directory("engine"))
    let wrong = try RefitSource(source("wrong", tied: true), for: engine)
    let warnings = try await Refitter(engine: engine).prepare(wrong).warnings
    #expect(warnings.count == 1 && warnings[0].contains("'tie_word_embeddings' is true, but 'lm_head.weight' differs"))
    // Which of the two config.json, and where to write it.
    #expect(warnings[0].hasPrefix(life.directory("wrong").string + "/config.json:") && warnings[0].hasSuffix("Set it to false in config.json"), "\(warnings)")
    var options = Refitter.Options()
    options.isStrict = true
    let error = await #expect(throws: RefitError.self) { _ = try await Refitter(engine: engine, options: options).prepare(wrong) }
    #expect(error?.problems == warnings.map(RefitProblem.warning))
  }
}
