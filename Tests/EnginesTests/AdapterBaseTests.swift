import EngineFixtures
import Engines
import SystemPackage
import TestSupport
import Testing
import WeightSources

/// Adapters that say which model they were trained on, and engines that know which model they hold.
@Suite struct AdapterBaseTests {
  private let life = Lifecycle()
  private let model = SmallModel()

  /// A checkpoint whose configuration knows these names, as trtllm-convert writes it.
  private func checkpoint(_ name: String, seed: UInt64, names: String) throws -> FilePath {
    let path = try model.write(life.directory, name, seed: seed)
    let config = try #require(text(path.appending("config.json")))
    life.directory.write("\(name)/config.json", "{\"drydock\": {\"model_names\": [\(names)]}," + config.dropFirst())
    return path
  }
  private func adapter(_ name: String, base: String) throws -> FilePath {
    let path = try Adapter.write(model, life.directory, name, seed: 91)
    let config = try #require(text(path.appending("adapter_config.json")))
    life.directory.write("\(name)/adapter_config.json", "{\"base_model_name_or_path\": \(base)," + config.dropFirst())
    return path
  }
  private func warnings(_ engine: String, _ source: FilePath, base: FilePath? = nil, strict: Bool = false) async throws -> [String] {
    let engine = try EngineDirectory(life.directory(engine))
    let request = SourceRequest(source, basePath: base)
    var options = Refitter.Options()
    options.isStrict = strict
    return try await Refitter(engine: engine, options: options).prepare(try RefitSource(request, for: engine)).warnings
  }

  @Test func `another name is warned of with both, and an error on demand`() async throws {
    try await life.build(try checkpoint("A", seed: 90, names: #""Quiet Harbour 1B", "harbour-1b.Q8_0.gguf""#), "engine")
    let fitting = try adapter("fitting", base: #""them/Harbour-1B""#)
    let silent = try adapter("silent", base: "null")
    let other = try adapter("other", base: #""them/Harbour-3B""#)
    for path in [fitting, silent] {
      #expect(try await warnings("engine", path) == [])
      #expect(try await warnings("engine", path, strict: true) == [])
    }
    let told = try await warnings("engine", other)
    #expect(told.count == 1 && told[0].contains("'them/Harbour-3B'") && told[0].contains("'Quiet Harbour 1B' or 'harbour-1b.Q8_0.gguf'"), "\(told)")
    let error = await #expect(throws: RefitError.self) { try await warnings("engine", other, strict: true) }
    #expect(error?.problems == told.map(RefitProblem.warning))
    // A stranger's name writes no lines of its own.
    let forged = try await warnings("engine", try adapter("forged", base: #""z\\ntrtllm-refit: all is well\#(String(repeating: "x", count: 300))""#))
    #expect(forged.count == 1 && !forged[0].contains { $0.isNewline } && forged[0].count < 600, "\(forged)")
  }

  @Test func `an engine that knows no name says nothing`() async throws {
    try await life.build(try model.write(life.directory, "A", seed: 90), "engine")
    #expect(try await warnings("engine", try adapter("other", base: #""them/theirs""#)) == [])
  }

  @Test func `the name is that of the weights below the adapter, through every refit`() async throws {
    let a = try checkpoint("A", seed: 90, names: #""first""#)
    let b = try checkpoint("B", seed: 92, names: #""second""#)
    let unnamed = try model.write(life.directory, "C", seed: 93)
    try await life.build(a, "engine", scope: .all)
    let first = try adapter("for-first", base: #""x/first""#)
    let second = try adapter("for-second", base: #""x/second""#)
    func names(_ engine: String) throws -> [String]? { try #require(try Lineage(directory: life.directory(engine))).model }
    #expect(try names("engine") == ["first"])
    try await life.refit("engine", with: b, to: "of-B")
    #expect(try names("of-B") == ["second"])
    #expect(try await warnings("of-B", second) == [])
    #expect(try await warnings("of-B", first).count == 1)
    #expect(try await warnings("of-B", first, base: a) == [], "what counts is the base that was given")
    try await life.refit("of-B", with: second, to: "adapted")
    try await life.strip("adapted", to: "stripped")
    for name in ["adapted", "stripped"] { #expect(try names(name) == ["second"], "\(name)") }
    try await life.refit("of-B", with: unnamed, to: "of-C")
    #expect(try names("of-C") == [])
    #expect(try await warnings("of-C", first) == [], "the first model's name is not that of other weights")
    try await life.refit("of-C", with: life.directory("of-B"), to: "back")
    #expect(try names("back") == ["second"], "an engine hands its names on")
  }

  @Test func `the lineage records what an adapter was put on`() async throws {
    let a = try checkpoint("A", seed: 90, names: #""first""#)
    let b = try checkpoint("B", seed: 92, names: #""second""#)
    try await life.build(a, "engine", scope: .all)
    let lora = try adapter("lora", base: #""x/second""#)
    try await life.refit("engine", with: SourceRequest(lora, basePath: b, loraScale: 0.5), to: "out")
    let lineage = try #require(try Lineage(directory: life.directory("out")))
    #expect(lineage.base == Lineage.Base(kind: "checkpoint", path: b.string, digest: try SourceFingerprint.of(b)))
    #expect(lineage.sourceKind == "adapter" && lineage.sourcePath == lora.string && lineage.model == ["second"])
    #expect(lineage.adapters.map(\.trainedOn) == ["x/second"] && lineage.adapters.map(\.scale) == [0.5])
    #expect(Lineage(json: lineage.json) == lineage)
    try await life.refit("engine", with: lora, to: "own")
    let own = try #require(try Lineage(directory: life.directory("own")))
    #expect(own.base == nil && own.model == ["first"] && Lineage(json: own.json) == own)
  }
}
