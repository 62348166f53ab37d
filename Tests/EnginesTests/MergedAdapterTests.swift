import Checkpoints
import EngineFixtures
import Engines
import Safetensors
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// Engines refitted with each kind of adapter, unpacked and compared with the weights that PEFT merged; see
/// `Scripts/reference/adapters.py`.
@Suite struct MergedAdapterTests {
  static let variants = [
    "plain", "rank-stabilized", "dora", "patterns", "bias", "whole-modules", "embedding", "one-layer", "fan-in-fan-out",
    "fan-in-fan-out-dora",
  ]
  static let adapters = FilePath(#filePath).removingLastComponent().removingLastComponent()
    .appending("WeightSourcesTests/Expected/adapters")

  /// The base with some tensors from elsewhere: PEFT's merged model.
  private struct Merged: NamedTensors {
    let base: any NamedTensors
    let changed: SafetensorsFile
    var names: [String] { base.names }
    var origin: String { "merged" }
    func description(of name: String) -> TensorDescription? { changed.header[name]?.description ?? base.description(of: name) }
    func read(_ name: String, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
      if changed.header[name] != nil { return try unsafe changed.read(name, rows: rows, into: destination) }
      try unsafe base.read(name, rows: rows, into: destination)
    }
  }

  private func floats(_ name: String, rank: Int, of source: any WeightSource) throws -> [Float] {
    let description = try #require(source.description(of: name, rank: rank), "\(name)")
    try #require(description.elementType == .float32)
    var values = [Float](repeating: 0, count: description.elementCount)
    try unsafe values.withUnsafeMutableBytes { try unsafe source.read(name, rank: rank, rows: 0..<description.rowCount, into: $0) }
    return values
  }

  @Test(arguments: variants, [Mapping(), Mapping(tensorParallel: 2), Mapping(tensorParallel: 2, pipelineParallel: 2)])
  func `an engine holds what PEFT merged, to float32 rounding`(_ variant: String, _ mapping: Mapping) async throws {
    let life = Lifecycle()
    let source = try ModelSource(Self.adapters.appending("base"))
    try CheckpointConverter(source, mapping: mapping, elementType: .float32).write(to: life.directory("base"))
    try await life.build(life.directory("base"), "engine", scope: .all)
    try await life.refit("engine", with: Self.adapters.appending(variant), to: "adapted")
    let engine = EngineWeights(try EngineDirectory(life.directory("adapted")).ranks)
    let untouched = EngineWeights(try EngineDirectory(life.directory("engine")).ranks)
    let changed = try SafetensorsFile(Self.adapters.appending("\(variant).expected.safetensors"))
    let wanted = try ConvertedWeights(
      Merged(base: source.tensors, changed: changed), model: source.model, mapping: mapping, elementType: .float32)
    var (compared, differing) = (0, 0)
    for rank in 0..<mapping.worldSize {
      for name in wanted.names(rank: rank) {
        // Sums over ranks get their bias once, from the first of them.
        if name.hasSuffix("attention.dense.bias"), rank % mapping.tensorParallel > 0, engine.description(of: name, rank: rank) == nil { continue }
        let (found, expected) = (try floats(name, rank: rank, of: engine), try floats(name, rank: rank, of: wanted))
        try #require(found.count == expected.count, "\(name)")
        // A few roundings of numbers of this size; sums in another order than PEFT's.
        let worst = zip(found, expected).map { abs($0 - $1) / (1 + abs($1)) }.reduce(0) { $1 > $0 || $1.isNaN ? $1 : $0 }
        #expect(worst <= 2e-6, "\(name) of rank \(rank): off by \(worst)")
        compared += 1
        if try found != floats(name, rank: rank, of: untouched) { differing += 1 }
      }
    }
    #expect(compared > 10 && differing > 0)
  }
}
