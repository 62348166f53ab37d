import Digests
import EngineFixtures
import Engines
import Files
import JSON
import OrderedCollections
import Safetensors
import SystemPackage
import TestSupport
import Testing

/// Engines whose lineage holds the SHA-256 of whole weights, as versions before digests were trees wrote them.
@Suite struct LineageFormat1Tests {
  /// Takes an engine back to format 1, by what documents of that time say of it.
  private func takeBack(_ path: FilePath) throws {
    let engine = try EngineDirectory(path)
    let text = try #require(contents(path.appending(Lineage.fileName)))
    var json = try #require(try JSONValue(parsing: text).object)
    #expect(json["formatVersion"] == 2 && json["digests"] == "sha256-tree-64KiB")
    json["formatVersion"] = 1
    json["digests"] = nil
    var ranks: [JSONValue] = []
    for file in engine.ranks {
      var weights: JSONObject = [:]
      var lines = "plan \(SHA256.hash(Array(file.planText.utf8)).hexadecimal)\n"
      for name in file.plan.weights.keys where file.contains(name) {
        let digest = SHA256.hash(try file.tensors.bytes(of: name)).hexadecimal
        weights[name] = .string(digest)
        lines += "\(name) \(digest)\n"
      }
      let root = SHA256.hash(Array(lines.utf8)).hexadecimal
      ranks.append(["file": .string(file.path.lastComponent?.string ?? ""), "root": .string(root), "weights": .object(weights)])
      var bytes = try #require(contents(file.path))
      let place = 8 + "{\"__metadata__\":{\"root\":\"".utf8.count
      bytes.replaceSubrange(place..<place + 64, with: Array(root.utf8))
      try AtomicFile.write(file.path, bytes: bytes)
    }
    json["ranks"] = .array(ranks)
    try AtomicFile.write(path.appending(Lineage.fileName), bytes: Array(JSONValue.object(json).serialized().utf8))
  }

  @Test func `an engine of format 1 verifies, and a refit gives the engine that a build gives`() async throws {
    let life = Lifecycle.unmeasured()
    // Weights of more than a leaf, or both digests are the same.
    let model = SmallModel(hidden: 192, heads: 4, keyValueHeads: 2, headSize: 48, intermediate: 256, layers: 2, vocabulary: 300)
    let a = try model.write(life.directory, "A", seed: 1)
    try await life.build(a, "engine")
    try await life.build(a, "old")
    try takeBack(life.directory("old"))
    #expect(life.rankFiles("old") != life.rankFiles("engine"), "or the test proves nothing")
    let old = try EngineDirectory(life.directory("old"))
    let result = try await EngineVerifier().verify(old)
    #expect(result.differences.isEmpty && result.weightCount == old.ranks[0].plan.weights.count, "\(result)")
    // What is kept, too, has the new digest.
    try await life.refit("old", with: a, to: "refitted")
    life.expectSame("refitted", "engine", "refit of an old engine")
    let live = try await LiveRefitter(old)
    let lineage = try #require(try Lineage(directory: life.directory("engine")))
    #expect(live.digests == lineage.ranks)
    // A byte that is not as written is found by either kind.
    let name = try #require(old.ranks[0].plan.weights.keys.first { $0.hasSuffix("qkv.weight") })
    for engine in ["old", "engine"] {
      let file = try EngineDirectory(life.directory(engine)).ranks[0]
      var bytes = try #require(contents(file.path))
      let entry = try #require(file.tensors.header[name])
      bytes[file.tensors.header.dataStart + entry.range.upperBound - 1] ^= 1
      try AtomicFile.write(file.path, bytes: bytes)
      let differences = try await EngineVerifier().verify(try EngineDirectory(life.directory(engine))).differences
      #expect(differences == [.weight(name, file: "rank0.engine")], "\(engine)")
    }
  }
}
