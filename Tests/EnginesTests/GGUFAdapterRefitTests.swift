import Checkpoints
import EngineFixtures
import Engines
import SystemPackage
import TestSupport
import Testing
import WeightSources

/// Engines refitted with an adapter in GGUF are those refitted with the PEFT directory that it was made of.
@Suite struct GGUFAdapterRefitTests {
  private static let project = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
  private static let expected = project.appending("Tests/WeightSourcesTests/Expected/adapters")
  private let life = Lifecycle()

  private func build(_ model: FilePath, _ mapping: Mapping) async throws {
    try CheckpointConverter(ModelSource(model), mapping: mapping, elementType: .float32).write(to: life.directory("base"))
    try await life.build(life.directory("base"), "engine", scope: .all)
  }

  @Test(arguments: [Mapping(), Mapping(tensorParallel: 2), Mapping(tensorParallel: 2, pipelineParallel: 2)])
  func `an engine with one table, byte for byte`(_ mapping: Mapping) async throws {
    try await build(Self.project.appending("Models/tiny"), mapping)
    try await life.refit("engine", with: Self.project.appending("Models/tiny-lora"), to: "peft")
    let file = Self.expected.appending("gguf/tiny-lora.f32.gguf")
    try await life.refit("engine", with: file, to: "gguf")
    life.expectSame("gguf", "peft", "float32 factors")
    #expect(life.rankFiles("gguf") != life.rankFiles("engine"))
    let lineage = try #require(try Lineage(directory: life.directory("gguf")))
    #expect(lineage.sourceKind == "ggufAdapter" && lineage.sourcePath == file.string && lineage.adapters.map(\.path) == [file.string])
    #expect(lineage.adapters.map(\.trainedOn) == ["drydock/tiny"])
    // An adapter over weights that carry one, and back to the base.
    await #expect(throws: RefitError.self) { try await life.refit("gguf", with: file, to: "twice") }
    try await life.refit("gguf", with: life.directory("base"), to: "back")
    life.expectSame("back", "engine", "the base again")
  }

  @Test(arguments: ["target-all-linear", "target-table", "target-head", "save-norms"], [Mapping(), Mapping(tensorParallel: 2)])
  func `an engine with two tables, byte for byte`(_ name: String, _ mapping: Mapping) async throws {
    try await build(Self.expected.appending("matrix/untied"), mapping)
    try await life.refit("engine", with: Self.expected.appending("matrix/\(name)"), to: "peft")
    try await life.refit("engine", with: Self.expected.appending("gguf/\(name).f32.gguf"), to: "gguf")
    life.expectSame("gguf", "peft", "\(name)")
    #expect(life.rankFiles("gguf") != life.rankFiles("engine"))
  }

  @Test func `it goes on top of others, and over a base that is named`() async throws {
    try await build(Self.project.appending("Models/tiny"), Mapping())
    let (peft, gguf) = (Self.project.appending("Models/tiny-lora"), Self.expected.appending("gguf/tiny-lora.f32.gguf"))
    var request = SourceRequest("", basePath: life.directory("base"), loraScale: 0.5)
    for (name, first, second) in [("one", peft, gguf), ("other", gguf, peft)] {
      (request.path, request.adapters) = (first, [second])
      try await life.refit("engine", with: request, to: name)
    }
    life.expectSame("one", "other", "twice half")
    #expect(try Lineage(directory: life.directory("other"))?.base?.kind == "checkpoint")
  }

  @Test func `what is wrong with several is told together, whatever kind of error it is`() async throws {
    try await build(Self.project.appending("Models/tiny"), Mapping())
    let good = try #require(contents(Self.expected.appending("gguf/tiny-lora.f32.gguf")))
    func changed(_ from: String, _ to: [UInt8], after: Int = 0) -> [UInt8] {
      var bytes = good
      let key = Array(from.utf8)
      for start in bytes.indices.dropLast(key.count + to.count + after) where bytes[start..<start + key.count].elementsEqual(key) {
        let at = start + (after > 0 ? key.count + after : 0)
        bytes.replaceSubrange(at..<at + to.count, with: to)
      }
      return bytes
    }
    let nan = (0..<4).map { UInt8(truncatingIfNeeded: Float.nan.bitPattern >> (8 * $0)) }
    let files = [
      ("bad.gguf", Array(good.prefix(100))), ("layer.gguf", changed("blk.0.", Array("blk.9.".utf8))),
      ("nan.gguf", changed("adapter.lora.alpha", nan, after: 4)), ("page.gguf", Array("<html>".utf8)),
    ]
    for (name, bytes) in files { life.directory.write(name, bytes) }
    func refusal(_ names: [String]) async -> (any Error)? {
      let request = SourceRequest(life.directory("base"), adapters: names.map { life.directory($0) })
      do { try await life.refit("engine", with: request, to: "out") } catch { return error }
      return nil
    }
    let error = try #require(await refusal(files.map(\.0) + ["absent"]) as? RefitError)
    for name in files.map(\.0) + ["absent", "layers up to 9", "nan"] { #expect("\(error)".contains(name), "\(name): \(error)") }
    #expect("\(error)".split(separator: "\n").allSatisfy { $0.count <= 300 }, "\(error)")
    // Alone it is told as what it is.
    #expect(await refusal(["bad.gguf"]) is GGUFError)
    #expect(await refusal(["nan.gguf"]) is RefitError)
  }
}
