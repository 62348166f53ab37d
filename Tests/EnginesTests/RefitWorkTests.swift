import EngineFixtures
import Engines
import Synchronization
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// What a refit does and does not do, and that it can prove it.
@Suite struct RefitWorkTests {
  private struct Bench {
    let life = Lifecycle()
    let model: SmallModel
    let checkpoint: FilePath
    var engine: EngineDirectory { get throws { try EngineDirectory(life.directory("engine")) } }

    init(_ model: SmallModel = SmallModel(), scope: RefitScope = .all) async throws {
      self.model = model
      checkpoint = try model.write(life.directory, "A", seed: 50)
      try await life.build(checkpoint, "engine", scope: scope)
    }

    func refit(
      with path: FilePath, to name: String, _ options: Refitter.Options = .init(), wrapping: (any WeightSource) -> any WeightSource = { $0 }
    ) async throws -> RefitSummary {
      let engine = try engine
      let refitter = Refitter(engine: engine, options: options)
      var source = try RefitSource(path, for: engine)
      source.weights = wrapping(source.weights)
      return try await refitter.write(try await refitter.prepare(source), from: source, to: life.directory(name))
    }

    /// The checkpoint with one tensor's values changed.
    func changed(_ name: String, _ tensor: String, _ change: @escaping (Float) -> Float) throws -> FilePath {
      try model.write(life.directory, name, seed: 50) { tensors in
        let index = tensors.firstIndex { $0.name == tensor }!
        tensors[index].matrix.values = tensors[index].matrix.values.map(change)
      }
    }
  }

  @Test(arguments: [SmallModel(), SmallModel(type: .float32, tensorParallel: 2)])
  func `weights that are right already are counted and left alone`(_ model: SmallModel) async throws {
    let bench = try await Bench(model)
    let same = try await bench.refit(with: bench.checkpoint, to: "same")
    #expect(same.count(.refitted) == 0 && same.count(.filled) == 0 && same.count(.unchanged) == same.weights.count)
    #expect(same.changedByteCount == 0 && same.byteCount > 0)
    bench.life.expectSame("same", "engine", "nothing changed")

    let other = try bench.changed("B", "transformer.layers.1.mlp.proj.weight") { $0 + 1 }
    let one = try await bench.refit(with: other, to: "one")
    #expect(one.weights.filter { $0.fate == .refitted }.map(\.name) == Array(repeating: "transformer.layers.1.mlp.proj.weight", count: model.tensorParallel))
    try await bench.life.build(other, "wanted", scope: .all)
    for rank in 0..<model.tensorParallel {
      let (found, wanted) = (try EngineFile(bench.life.directory("one/rank\(rank).engine")), try EngineFile(bench.life.directory("wanted/rank\(rank).engine")))
      for name in wanted.plan.weights.keys { #expect(try found.tensors.bytes(of: name) == wanted.tensors.bytes(of: name), "\(name)") }
    }
  }

  @Test func `how far weights moved is measured`() async throws {
    let bench = try await Bench(SmallModel(type: .float32))
    let doubled = try bench.changed("B", "transformer.layers.2.attention.dense.weight") { 2 * $0 }
    var options = Refitter.Options()
    options.measures = true
    let summary = try await bench.refit(with: doubled, to: "out", options)
    let values = bench.model.tensors(rank: 0, seed: 50).first { $0.name == "transformer.layers.2.attention.dense.weight" }!.matrix.values
    for row in summary.movements(in: try bench.engine) {
      let isIt = row.layer == 2 && row.module == "attention.dense.weight"
      #expect(abs((row.movement.relative ?? -1) - (isIt ? 1 : 0)) < 1e-6, "\(row)")
      #expect(abs(row.movement.largest - (isIt ? values.map { Double(abs($0)) }.max()! : 0)) < 1e-6, "\(row)")
    }
    #expect(summary.movements(in: try bench.engine).contains { $0.layer == 2 && $0.module == "attention.dense.weight" })
  }

  @Test(arguments: [ElementType.bfloat16, .float16, .float32])
  func `NaN and infinity are counted, and refused on demand`(_ type: ElementType) async throws {
    let bench = try await Bench(SmallModel(type: type))
    let count = Mutex(0)
    let bad = try bench.changed("bad", "transformer.layers.0.mlp.fc.weight") { value in
      count.withLock {
        $0 += 1; return $0 <= 3 ? ($0 == 2 ? -.infinity : .nan) : value
      }
    }
    let built = try await bench.life.build(bad, "built")
    #expect(built.warnings.count == 1 && built.warnings[0].contains("fused_fc.weight: 3 value(s)"), "\(built.warnings)")
    #expect(try await bench.life.build(bench.checkpoint, "built").warnings == [])
    let summary = try await bench.refit(with: bad, to: "out")
    #expect(summary.weights.reduce(0) { $0 + $1.nonFiniteCount } == 3)
    #expect(summary.warnings.count == 1 && summary.warnings[0].contains("3 value(s)"), "\(summary.warnings)")
    var options = Refitter.Options()
    options.isStrict = true
    let before = snapshot(bench.life.directory.path)
    let error = await #expect(throws: RefitError.self) { try await bench.refit(with: bad, to: "strict", options) }
    #expect(error?.problems.contains { if case .warning(let text) = $0 { text.contains("3 value(s)") } else { false } } == true)
    #expect(snapshot(bench.life.directory.path) == before, "nothing was written")
    _ = try await bench.refit(with: bench.checkpoint, to: "strict", options)
  }

  @Test func `an engine is checked against its lineage, and what differs is named`() async throws {
    let bench = try await Bench(SmallModel(tensorParallel: 2))
    let path = bench.life.directory("engine/rank1.engine")
    let whole = try #require(contents(path))
    let verifier = EngineVerifier(workers: 2)
    let good = try await verifier.verify(try bench.engine)
    let count = try bench.engine.ranks.reduce(0) { $0 + $1.plan.weights.count }
    #expect(good.differences == [] && good.weightCount == count)
    let file = try EngineFile(path)
    for name in file.plan.weights.keys {
      let entry = try #require(file.tensors.header[name])
      for offset in [entry.range.lowerBound, entry.range.upperBound - 1] {
        var edited = whole
        edited[file.tensors.header.dataStart + offset] ^= 1
        bench.life.directory.write("engine/rank1.engine", edited)
        #expect(try await verifier.verify(try bench.engine).differences == [.weight(name, file: "rank1.engine")])
      }
    }
    // A number in a plan that still reads: one rank alone no longer fits the other, and both together no longer fit what
    // was written; then the engine is refused as a whole, by refit too.
    let (old, new) = (Array(#"\"batchSize\":2048"#.utf8), Array(#"\"batchSize\":2047"#.utf8))
    func edited(_ bytes: [UInt8]) throws -> [UInt8] {
      let place = try #require(bytes.indices.first { bytes[$0...].starts(with: old) })
      return bytes[..<place] + new + bytes[(place + old.count)...]
    }
    bench.life.directory.write("engine/rank1.engine", try edited(whole))
    #expect(throws: EngineError.self) { try bench.engine }
    bench.life.directory.write("engine/rank0.engine", try edited(try #require(contents(bench.life.directory("engine/rank0.engine")))))
    #expect(try await verifier.verify(try bench.engine).differences == [.plan(file: "rank0.engine"), .plan(file: "rank1.engine")])
    let error = await #expect(throws: RefitError.self) { try await bench.refit(with: bench.checkpoint, to: "out") }
    #expect(error?.problems == [.edited(file: "rank0.engine"), .edited(file: "rank1.engine")])
    // A stripped one would be sealed anew.
    let engine = try bench.engine
    let strip = await #expect(throws: RefitError.self) { try await Refitter(engine: engine).strip(to: bench.life.directory("stripped")) }
    #expect(strip?.problems == error?.problems)
    for count in [0, 10, whole.count - 1] {
      bench.life.directory.write("engine/rank1.engine", Array(whole.prefix(count)))
      #expect(throws: (any Error).self) { try bench.engine }
    }
  }

  @Test func `an edit in a weight that is kept stays visible after a refit`() async throws {
    let bench = try await Bench()
    let adapter = try Adapter.write(bench.model, bench.life.directory, "lora", seed: 51)
    let file = try EngineFile(bench.life.directory("engine/rank0.engine"))
    let name = "transformer.layers.0.input_layernorm.weight"
    var edited = try #require(contents(file.path))
    edited[file.tensors.header.dataStart + (try #require(file.tensors.header[name])).range.lowerBound] ^= 1
    bench.life.directory.write("engine/rank0.engine", edited)
    _ = try await bench.refit(with: adapter, to: "out")
    #expect(
      try await EngineVerifier().verify(try EngineDirectory(bench.life.directory("out"))).differences == [.weight(name, file: "rank0.engine")])
    var options = Refitter.Options()
    options.verifies = true
    await #expect(throws: VerificationError.self) { try await bench.refit(with: adapter, to: "verified", options) }
    #expect(names(in: bench.life.directory("verified")) == nil, "not put in place")
  }

  /// Gives other values from the second time on that a tensor's first row is asked for.
  private final class Fickle: WeightSource {
    let base: any WeightSource
    let asked = Mutex(0)
    init(_ base: any WeightSource) { self.base = base }
    var origin: String { base.origin }
    func names(rank: Int) -> [String] { base.names(rank: rank) }
    func description(of name: String, rank: Int) -> TensorDescription? { base.description(of: name, rank: rank) }
    func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
      unsafe try base.read(name, rank: rank, rows: rows, into: destination)
      guard name == "transformer.ln_f.weight" else { return }
      if asked.withLock({
        $0 += 1; return $0 > 1
      }) {
        unsafe destination[0] ^= 1
      }
    }
  }

  @Test func `verification compares with the source, and a failure puts nothing in place`() async throws {
    let bench = try await Bench()
    let other = try bench.model.write(bench.life.directory, "B", seed: 52)
    var options = Refitter.Options()
    options.verifies = true
    let summary = try await bench.refit(with: other, to: "good", options)
    #expect(summary.verifiedCount == summary.weights.count)
    let error = await #expect(throws: VerificationError.self) {
      try await bench.refit(with: other, to: "bad", options) { Fickle($0) }
    }
    #expect(error?.differences == ["rank 0: transformer.ln_f.weight is not what the source gives"])
    #expect(names(in: bench.life.directory("bad")) == nil)
  }

  @Test(arguments: [[[0], [1], [2], [3]], [[3, 1], [0, 2]], [[2], [0, 1, 3]]])
  func `processes that write ranks make the engine that one makes, when the last is done`(_ shares: [[Int]]) async throws {
    let bench = try await Bench(SmallModel(tensorParallel: 2, pipelineParallel: 2))
    let other = try bench.model.write(bench.life.directory, "B", seed: 53)
    _ = try await bench.refit(with: other, to: "wanted")
    for target in ["out", "engine"] {  // elsewhere, and in place
      let old = bench.life.rankFiles(target)
      for (index, share) in shares.enumerated() {
        #expect(bench.life.rankFiles(target) == old, "not before all are there")
        var options = Refitter.Options()
        options.ranks = Set(share)
        let summary = try await bench.refit(with: other, to: target, options)
        #expect(summary.pendingRanks.isEmpty == (index == shares.count - 1))
      }
      bench.life.expectSame(target, "wanted", "\(target) by ranks")
      #expect(try await EngineVerifier().verify(try EngineDirectory(bench.life.directory(target))).differences == [])
    }
    #expect(names(in: bench.life.directory.path)?.filter { $0.hasPrefix(".") } == [], "no shares are left")
  }

  @Test func `ranks written at the same time make one engine`() async throws {
    let bench = try await Bench(SmallModel(tensorParallel: 4, tied: false))
    let other = try bench.model.write(bench.life.directory, "B", seed: 54)
    _ = try await bench.refit(with: other, to: "wanted")
    for round in 0..<5 {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for rank in 0..<4 {
          group.addTask {
            var options = Refitter.Options()
            options.ranks = [rank]
            _ = try await bench.refit(with: other, to: "out\(round)", options)
          }
        }
        try await group.waitForAll()
      }
      bench.life.expectSame("out\(round)", "wanted", "round \(round)")
    }
    #expect(names(in: bench.life.directory.path)?.filter { $0.hasPrefix(".") } == [], "no shares are left")
  }

  @Test func `a share of another job is not taken`() async throws {
    let bench = try await Bench(SmallModel(tensorParallel: 2))
    let (b, c) = (try bench.model.write(bench.life.directory, "B", seed: 55), try bench.model.write(bench.life.directory, "C", seed: 56))
    _ = try await bench.refit(with: c, to: "wanted")
    var options = Refitter.Options()
    options.ranks = [0]
    #expect(try await bench.refit(with: b, to: "out", options).pendingRanks == [1])
    options.ranks = [1]
    #expect(try await bench.refit(with: c, to: "out", options).pendingRanks == [0])
    options.ranks = [0]
    #expect(try await bench.refit(with: c, to: "out", options).pendingRanks == [])
    bench.life.expectSame("out", "wanted", "all of C")
  }

  @Test func `a cancelled refit leaves the target as it was`() async throws {
    let bench = try await Bench()
    let other = try bench.model.write(bench.life.directory, "B", seed: 57)
    let before = snapshot(bench.life.directory.path)
    let task = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      _ = try await bench.refit(with: other, to: "engine")
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(snapshot(bench.life.directory.path) == before)
  }

  @Test func `a checkpoint for other ranks is refused with the command that makes one`() async throws {
    for (mine, theirs) in [(2, 1), (1, 2)] {
      let bench = try await Bench(SmallModel(tensorParallel: mine))
      let other = try SmallModel(tensorParallel: theirs).write(bench.life.directory, "B", seed: 58)
      let error = await #expect(throws: RefitError.self) { try await bench.refit(with: other, to: "out") }
      #expect(
        error?.problems.contains(
          .sharding(field: "mapping.tp_size", engine: mine, checkpoint: theirs, tensorParallel: mine, pipelineParallel: 1)) == true)
      #expect(error?.description.contains("trtllm-convert --model_dir MODEL --output_dir CHECKPOINT --tp_size \(mine) --pp_size 1") == true)
    }
  }

  @Test func `another element type is warned of`() async throws {
    let bench = try await Bench(SmallModel(type: .bfloat16))
    let other = try SmallModel(type: .float32).write(bench.life.directory, "B", seed: 59)
    let prepared = try await Refitter(engine: try bench.engine).prepare(try RefitSource(other, for: try bench.engine))
    #expect(prepared.warnings.contains { $0.contains("F32") && $0.contains("BF16") }, "\(prepared.warnings)")
  }

  @Test func `an adapter for another model says which one it was made for`() async throws {
    let bench = try await Bench()
    let adapter = try Adapter.write(SmallModel(hidden: 52, headSize: 13), bench.life.directory, "lora", seed: 60)
    let config = try #require(text(adapter.appending("adapter_config.json")))
    bench.life.directory.write("lora/adapter_config.json", config.replacing("{\"peft", with: #"{"base_model_name_or_path": "them/theirs", "peft"#))
    let error = await #expect(throws: RefitError.self) { try await Refitter(engine: try bench.engine).prepare(RefitSource(adapter, for: try bench.engine)) }
    #expect(error?.description.contains("them/theirs") == true && error?.description.contains("shapes do not fit") == true, "\(String(describing: error))")
  }

  @Test func `the digest of a split GGUF file is that of all its parts, whichever is named`() throws {
    let directory = TemporaryDirectory()
    let parts = (1...2).map { directory.write("m-0000\($0)-of-00002.gguf", "part \($0)") }
    let digest = try SourceFingerprint.of(parts[0])
    #expect(try SourceFingerprint.of(parts[1]) == digest && digest != SourceFingerprint.of(directory.write("whole.gguf", "part 1")))
    directory.write("m-00002-of-00002.gguf", "part 3")
    #expect(try SourceFingerprint.of(parts[0]) != digest)
  }

  @Test func `a lineage says where weights came from, and reads back`() async throws {
    let bench = try await Bench()
    let adapter = try Adapter.write(bench.model, bench.life.directory, "lora", seed: 61)
    _ = try await bench.refit(with: adapter, to: "out")
    let (mine, base) = (try #require(try Lineage(directory: bench.life.directory("out"))), try #require(try Lineage(directory: bench.life.directory("engine"))))
    #expect(mine.sourceDigest.count == 64 && mine.sourceDigest != base.sourceDigest && mine.adapters.map(\.path) == [adapter.string])
    #expect(mine.parent == base.ranks.map(\.root))
    #expect(Lineage(json: mine.json) == mine)
    bench.life.directory.write("lora/adapter_config.json", (try #require(text(adapter.appending("adapter_config.json")))) + " ")
    #expect(try SourceFingerprint.of(adapter) != mine.sourceDigest)
  }
}
