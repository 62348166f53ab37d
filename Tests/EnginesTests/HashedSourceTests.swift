import Digests
import EngineFixtures
import Engines
import JSON
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// Digests of a source that are made while it is read.
@Suite struct HashedSourceTests {
  /// Two tensors whose element i of row r is `r * 10 + i`.
  private struct Rows: WeightSource {
    var origin: String { "test" }
    func names(rank: Int) -> [String] { ["b", "a"] }
    func description(of name: String, rank: Int) -> TensorDescription? {
      TensorDescription(shape: name == "a" ? [7, 3] : [5], elementType: .uint8)
    }
    func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
      let width = name == "a" ? 3 : 1
      for (place, row) in rows.enumerated() {
        for column in 0..<width { unsafe destination[place * width + column] = UInt8(row * 10 + column) }
      }
    }
  }
  private func read(_ source: HashedSource, _ name: String, _ rows: Range<Int>) throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: rows.count * (name == "a" ? 3 : 1), alignment: 1)
    defer { unsafe buffer.deallocate() }
    unsafe try source.read(name, rank: 0, rows: rows, into: buffer)
  }
  private func hexadecimal(_ bytes: [UInt8]) -> String { SHA256.hash(bytes).hexadecimal }

  @Test func `tiles of any size, read again and at two paces, give the digest of the whole`() throws {
    let source = HashedSource(Rows())
    try read(source, "a", 0..<2)
    try read(source, "b", 0..<5)
    try read(source, "a", 0..<4)  // another reader, which overtakes
    try read(source, "a", 2..<3)
    try read(source, "a", 4..<7)
    let a = hexadecimal((0..<7).flatMap { row in (0..<3).map { UInt8(row * 10 + $0) } })
    let b = hexadecimal((0..<5).map { UInt8($0 * 10) })
    let lines = "0 a U8 7x3 \(a)\n0 b U8 5 \(b)\n"
    let found = try #require(source.finish())
    #expect(found.digest == hexadecimal(Array(lines.utf8)) && found.tensorCount == 2)
  }

  @Test func `a tensor that was read in part gives no digest`() throws {
    let source = HashedSource(Rows())
    try read(source, "a", 0..<6)
    #expect(source.finish() == nil)
    let gap = HashedSource(Rows())
    try read(gap, "a", 1..<7)
    #expect(gap.finish() == nil)
  }

  @Test(arguments: [SmallModel(), SmallModel(tensorParallel: 2, tied: false)])
  func `a verified refit records the digest of all that its source gave`(_ model: SmallModel) async throws {
    let life = Lifecycle()
    let (a, b) = (try model.write(life.directory, "A", seed: 1), try model.write(life.directory, "B", seed: 2))
    try await life.build(a, "engine", scope: .all)
    let engine = try EngineDirectory(life.directory("engine"))
    #expect(try Lineage(directory: engine.path)?.sourceCoverage == .all, "a small checkpoint is covered in full")
    let source = try RefitSource(b, for: engine)
    var options = Refitter.Options()
    let plain = Refitter(engine: engine, options: options)
    _ = try await plain.write(try await plain.prepare(source), from: source, to: life.directory("plain"))
    #expect(try Lineage(directory: life.directory("plain"))?.sourceRead == nil)
    options.verifies = true
    let refitter = Refitter(engine: engine, options: options)
    _ = try await refitter.write(try await refitter.prepare(source), from: source, to: life.directory("proved"))
    let read = try #require(try Lineage(directory: life.directory("proved"))?.sourceRead)

    var lines = "", count = 0
    for (rank, file) in engine.ranks.enumerated() {
      for name in Set(file.plan.weights.values.flatMap { $0.recipe.inputs.map(\.name) }).sorted() {
        let description = try #require(source.weights.description(of: name, rank: rank))
        let shape = description.shape.map(String.init).joined(separator: "x")
        let digest = hexadecimal(try source.weights.bytes(of: name, rank: rank))
        lines += "\(rank) \(name) \(description.elementType.rawValue) \(shape) \(digest)\n"
        count += 1
      }
    }
    #expect(read.digest == hexadecimal(Array(lines.utf8)) && read.tensorCount == count)
  }
}
