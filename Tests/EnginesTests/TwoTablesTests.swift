import Checkpoints
import EngineFixtures
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

  @Test func `an engine with two tables refuses a source with one, which a build would share`() async throws {
    try await build(source("two", tied: false, seed: 2), "two-tables")
    let engine = try EngineDirectory(life.directory("two-tables"))
    for one in [source("without", tied: true, head: false), source("copy", tied: true, equal: true), source("undeclared", tied: false, equal: true)] {
      let error = await #expect(throws: RefitError.self) { _ = try await Refitter(engine: engine).prepare(RefitSource(one, for: engine)) }
      // With the frozen table, which differs as well.
      #expect(error?.problems.contains(.shared) == true && error?.problems.count == 2, "\(one): \(error?.problems ?? [])")
    }
    #expect(RefitProblem.shared.remedy.contains("Build a new engine"))
  }

  @Test func `an engine that was built without values takes one table again and again`() async throws {
    let copy = source("copy", tied: true, equal: true)
    let converter = try CheckpointConverter(ModelSource(source("two", tied: false, seed: 2)), mapping: Mapping(), elementType: .float32)
    try converter.write(to: life.directory("checkpoint"))
    try await life.build(life.directory("checkpoint"), "empty", strip: true, scope: .all)
    try await life.refit("empty", with: copy, to: "filled")
    try await life.refit("filled", with: copy, to: "again")
    #expect(try hasHead("again"))
    life.expectSame("filled", "again", "the same source twice")
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

  /// The checkpoint of a model with two tables, changed.
  private func checkpoint(_ name: String, tied: JSONValue, without: Set<String> = []) throws -> FilePath {
    try CheckpointConverter(ModelSource(source("two", tied: false)), mapping: Mapping(), elementType: .float32).write(to: life.directory(name))
    let config = life.directory("\(name)/config.json")
    var members = try #require(try JSONValue(parsing: contents(config) ?? []).object)
    members["tie_word_embeddings"] = tied
    life.directory.write("\(name)/config.json", JSONValue.object(members).serialized())
    guard !without.isEmpty else { return life.directory(name) }
    // Told by the header alone: the bytes stay where they are.
    let path = life.directory("\(name)/rank0.safetensors")
    let bytes = try #require(contents(path))
    let count = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    var header = try #require(try JSONValue(parsing: Array(bytes[8..<8 + count])).object)
    // The last tensor, so that nothing is left between the others.
    let last = try #require(header.max { ($0.value["data_offsets"]?.array?.last?.int ?? 0) < ($1.value["data_offsets"]?.array?.last?.int ?? 0) })
    #expect(without == [last.key], "\(last.key) is the last")
    let end = try #require(last.value["data_offsets"]?.array?.first?.int)
    header[last.key] = nil
    let text = Array(JSONValue.object(header).serialized().utf8)
    let size = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
    life.directory.write("\(name)/rank0.safetensors", size + text + bytes[(8 + count)..<(8 + count + end)])
    return life.directory(name)
  }

  @Test func `a checkpoint of two tables that lost its head is not built as one of one table`() async throws {
    let lost = try checkpoint("lost", tied: false, without: ["lm_head.weight"])
    let builder = EngineBuilder(options: .init(), target: life.target)
    let said = try #require(messageOf { _ = try builder.prepare(BuildSource(lost)) })
    #expect(said.contains("lm_head.weight is missing, and tie_word_embeddings is false"), "\(said)")
    let shared = try checkpoint("shared", tied: true, without: ["lm_head.weight"])
    #expect(try builder.prepare(BuildSource(shared)).plans[0].weights["lm_head.weight"] == nil)
  }

  @Test func `a checkpoint that is declared tied and holds another head is told, by a build and by a refit`() async throws {
    let two = try checkpoint("declared", tied: true)
    let builder = EngineBuilder(options: .init(), target: life.target)
    let prepared = try builder.prepare(BuildSource(two))
    #expect(prepared.plans[0].weights["lm_head.weight"] != nil)
    #expect(prepared.warnings.contains { $0.description.contains("'tie_word_embeddings' is true, but 'lm_head.weight' differs") }, "\(prepared.warnings)")
    #expect(try builder.prepare(BuildSource(checkpoint("apart", tied: false))).warnings.isEmpty)
    try await build(source("right", tied: false), "engine")
    let engine = try EngineDirectory(life.directory("engine"))
    let warnings = try await Refitter(engine: engine).prepare(RefitSource(two, for: engine)).warnings
    #expect(warnings.contains { $0.contains("'tie_word_embeddings' is true, but 'lm_head.weight' differs") }, "\(warnings)")
  }
}
