import CPUBackend
import EngineFixtures
import Engines
import SystemPackage
import TestSupport
import Testing

/// Rank files of two engines in one directory.
@Suite struct MixedRanksTests {
  private func engines() async throws -> Lifecycle {
    let life = Lifecycle()
    let model = SmallModel(tensorParallel: 2)
    let (a, b) = (try model.write(life.directory, "A", seed: 80), try model.write(life.directory, "B", seed: 81))
    try await life.build(a, "engine", scope: .all)
    try await life.refit("engine", with: b, to: "other")
    return life
  }

  @Test(arguments: ["rank0.engine", "rank1.engine"])
  func `a rank file of another engine of the same plan is told when the engine is opened`(_ file: String) async throws {
    let life = try await engines()
    let mine = try #require(contents(life.directory("engine/\(file)")))
    let theirs = try #require(contents(life.directory("other/\(file)")))
    #expect(mine.count == theirs.count && mine != theirs, "nothing but the digest in the header can tell")
    life.directory.write("engine/\(file)", theirs)
    let error = #expect(throws: EngineError.self) { try EngineDirectory(life.directory("engine")) }
    #expect(error?.problem == .strangers([file]))
    #expect(error?.description.contains(file) == true && error?.description.contains("two engines") == true)
    // Whoever opens an engine opens it this way; with the other's lineage it is the other file that is strange.
    life.directory.write("engine/lineage.json", try #require(contents(life.directory("other/lineage.json"))))
    let reversed = #expect(throws: EngineError.self) { try EngineDirectory(life.directory("engine")) }
    #expect(reversed?.problem == .strangers([file == "rank0.engine" ? "rank1.engine" : "rank0.engine"]))
  }

  @Test func `the digest in the header is the lineage's, whoever wrote the file`() async throws {
    let life = try await engines()
    try await life.strip("engine", to: "stripped")
    try await life.refit("stripped", with: life.directory("A"), to: "filled")
    for name in ["engine", "other", "stripped", "filled"] {
      let engine = try EngineDirectory(life.directory(name))
      let lineage = try #require(try Lineage(directory: engine.path))
      #expect(engine.ranks.map(\.root) == lineage.ranks.map(\.root), "\(name)")
      #expect(Set(engine.ranks.compactMap(\.root)).count == 2 && engine.ranks.allSatisfy { $0.root?.count == 64 })
    }
    life.expectSame("filled", "engine", "equal engines are equal files")
  }

  /// Engines of earlier versions have no digest in their header.
  @Test func `an engine without digests opens, and a refit gives it one`() async throws {
    let life = try await engines()
    for file in ["rank0.engine", "rank1.engine"] {
      let path = life.directory("engine/\(file)")
      var bytes = try #require(contents(path))
      let field = Array(#""root":"\#(try #require(try EngineFile(path).root))","#.utf8)
      let start = try #require((0..<200).first { bytes[$0...].starts(with: field) })
      let end = try EngineFile(path).tensors.header.dataStart
      bytes = bytes[..<start] + bytes[(start + field.count)..<end] + [UInt8](repeating: 0x20, count: field.count) + bytes[end...]
      life.directory.write("engine/\(file)", Array(bytes))
    }
    #expect(try EngineDirectory(life.directory("engine")).ranks.map(\.root) == [nil, nil])
    #expect(try await EngineVerifier().verify(try EngineDirectory(life.directory("engine"))).differences == [])
    try await life.refit("engine", with: life.directory("B"), to: "again")
    life.expectSame("again", "other", "refitting an old file makes the new one")
  }
}
