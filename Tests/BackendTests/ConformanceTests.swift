import EngineFixtures
import Engines
import Execution
import TestSupport
import Testing
import Threads

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What every back end keeps, whatever it runs on. A new one is a line in `Subject`.
@Suite(.driverDouble) struct ConformanceTests {
  private func prompt(_ count: Int, _ subject: Subject, seed: Int) -> [Int32] {
    (0..<count).map { Int32(($0 * 31 + seed * 17 + $0 * $0 * seed) % subject.model.vocabulary) }
  }

  @Test(arguments: Subject.all)
  func `a row's answer depends on its sequence and the weights alone`(_ subject: Subject) async throws {
    let life = Lifecycle()
    let driver = Driver(try await subject.open(in: life))
    let (mine, other) = (prompt(45, subject, seed: 1), prompt(33, subject, seed: 2))
    // At once, alone; and the next token.
    let blocks = driver.blocks(48)
    let wanted = try driver.step((mine, 0, blocks, .prefill))[0]
    let next = try driver.step(([3], 45, blocks, .decode))[0]
    #expect(wanted.count == subject.model.vocabulary && wanted != next)
    // In pieces, beside another sequence.
    let (pieces, theirs) = (driver.blocks(48), driver.blocks(48))
    _ = try driver.step((Array(mine[0..<17]), 0, pieces, .prefill))
    _ = try driver.step((Array(other[0..<20]), 0, theirs, .prefill), (Array(mine[17..<18]), 17, pieces, .prefill))
    let cut = try driver.step((Array(mine[18..<45]), 18, pieces, .prefill), (Array(other[20..<33]), 20, theirs, .prefill))
    #expect(cut[0] == wanted)
    #expect(try driver.step(([1], 33, theirs, .decode), ([3], 45, pieces, .decode))[1] == next)
    // Each of several sequences gets its own row.
    let alone = try (0..<3).map { try driver.step((Array(mine[$0..<$0 + 5]), 0, driver.blocks(16), .prefill))[0] }
    let (one, two, three) = (driver.blocks(16), driver.blocks(16), driver.blocks(16))
    #expect(try driver.step((Array(mine[0..<5]), 0, one, .prefill), (Array(mine[1..<6]), 0, two, .prefill), (Array(mine[2..<7]), 0, three, .prefill)) == alone)
    // The beginning found in another's blocks.
    let found = Array(blocks[0..<2]) + driver.blocks(16)
    #expect(try driver.step((Array(mine[32..<45]), 32, found, .prefill))[0] == wanted)
    #expect(try driver.step(([3], 45, found, .decode))[0] == next)
  }

  @Test(arguments: Subject.all)
  func `every row is answered at least what is wanted, and nobody else`(_ subject: Subject) async throws {
    let life = Lifecycle()
    let driver = Driver(try await subject.open(in: life))
    let blocks = driver.blocks(32)
    let part: Driver.Part = (prompt(20, subject, seed: 3), 0, blocks, .prefill)
    let logits = try driver.answer(part, .all).logits
    let largest = try #require(logits.max())
    let token = try driver.answer(part, .token)
    let first = try #require(logits.firstIndex(of: largest))
    #expect(token.logits == logits || token.token == Int32(first))
    let best = try driver.answer(part, .best(3))
    if best.logits.isEmpty {
      let sum = log(logits.reduce(0.0) { $0 + exp(Double($1)) })
      let order = logits.indices.sorted { (-logits[$0], $0) < (-logits[$1], $1) }.prefix(3)
      #expect(best.best.map(\.id) == order.map { Int32($0) })
      for entry in best.best { #expect(abs(Double(entry.logProbability) - (Double(logits[Int(entry.id)]) - sum)) < 1e-4) }
    } else {
      #expect(best.logits == logits)
    }
    // None.
    let silent = SequenceSlice(rows: 0..<2, firstPosition: 0, blockTable: driver.blocks(16), phase: .prefill, logitRows: 0)
    try driver.engine.finish(try driver.engine.submit(Batch(tokens: [1, 2], sequences: [silent]))) { _, _ in Issue.record("nothing was wanted") }
    // Several rows of one slice, in order.
    var rows: [[Float]] = []
    let scored = SequenceSlice(rows: 0..<20, firstPosition: 0, blockTable: driver.blocks(32), phase: .prefill, logitRows: 5)
    unsafe try driver.engine.step(Batch(tokens: part.tokens, sequences: [scored])) { _, row in unsafe rows.append(Array(row)) }
    #expect(rows.count == 5 && rows.last == logits && Set(rows).count == 5)
  }

  @Test(arguments: Subject.all)
  func `a batch that does not fit is refused, and nothing of it remains`(_ subject: Subject) async throws {
    let life = Lifecycle()
    let driver = Driver(try await subject.open(in: life))
    let engine = driver.engine
    let limits = engine.limits
    let (blocks, mine) = (driver.blocks(32), prompt(20, subject, seed: 4))
    _ = try driver.step((Array(mine[0..<19]), 0, blocks, .prefill))
    func slice(_ rows: Range<Int>, _ first: Int, _ table: [Int32], _ logitRows: Int, _ wanted: LogitsWanted = .all) -> SequenceSlice {
      SequenceSlice(rows: rows, firstPosition: first, blockTable: table, phase: .decode, logitRows: logitRows, wanted: wanted)
    }
    let last = limits.maximumSequenceLength
    let wrong: [(String, [Int32], [SequenceSlice])] = [
      ("a token below 0", [-1], [slice(0..<1, 19, blocks, 1)]),
      ("a token beyond the vocabulary", [Int32(limits.vocabularySize)], [slice(0..<1, 19, blocks, 1)]),
      ("a block beyond the cache", [1], [slice(0..<1, 0, [Int32(limits.cacheBlockCount)], 1)]),
      ("a block below 0", [1], [slice(0..<1, 0, [-1], 1)]),
      ("too few blocks", [1], [slice(0..<1, 32, blocks, 1)]),
      ("a position below 0", [1], [slice(0..<1, -1, blocks, 1)]),
      ("the last position of all", [1], [slice(0..<1, .max, blocks, 1)]),
      ("a position beyond the longest sequence", [1], [slice(0..<1, last, Array(repeating: 0, count: last / 16 + 1), 1)]),
      ("a gap between rows", [1, 2], [slice(1..<2, 19, blocks, 1)]),
      ("rows that nobody has", [1, 2], [slice(0..<1, 19, blocks, 1)]),
      ("a slice of no rows", [1], [slice(0..<0, 19, blocks, 0), slice(0..<1, 19, blocks, 1)]),
      ("more answers than rows", [1], [slice(0..<1, 19, blocks, 2)]),
      ("fewer answers than none", [1], [slice(0..<1, 19, blocks, -1)]),
      ("the best none", [1], [slice(0..<1, 19, blocks, 1, .best(0))]),
      ("more of the best than there are", [1], [slice(0..<1, 19, blocks, 1, .best(limits.vocabularySize + 1))]),
      ("too many rows", Array(repeating: 1, count: limits.maximumBatchRows + 1), [slice(0..<limits.maximumBatchRows + 1, 0, Array(0..<8), 1)]),
      ("too many sequences", [1, 1, 1, 1, 1], (0..<5).map { slice($0..<$0 + 1, 0, [Int32($0)], 1) }),
    ]
    for (what, tokens, slices) in wrong {
      #expect(throws: BatchError.self, "\(what)") { _ = try engine.submit(Batch(tokens: tokens, sequences: slices)) }
    }
    let again = driver.blocks(32)
    let wanted = try driver.step((Array(mine[0..<19]), 0, again, .prefill), ([mine[19]], 19, blocks, .decode))[1]
    #expect(try driver.step(([mine[19]], 19, again, .decode))[0] == wanted)
  }

  @Test(arguments: Subject.all)
  func `weights change between steps, all of them, and back to the same answers`(_ subject: Subject) async throws {
    let life = Lifecycle()
    let engine = try await subject.open(in: life)
    let driver = Driver(engine)
    let mine = prompt(20, subject, seed: 6)
    func ask() throws -> [Float] { try driver.step((mine, 0, driver.blocks(32), .prefill))[0] }
    let before = try ask()
    // The weights of a whole other engine, made as a live refit makes them.
    let other = try await subject.open(in: life, seed: 77, "other")
    let refitter = try await LiveRefitter(try EngineDirectory(life.directory("engine")))
    let made = try await refitter.make(
      LiveSource(path: life.directory("other-checkpoint").string), on: LiveBase(version: "file", ranks: subject.empty, digests: refitter.digests, lineage: nil),
      workers: 1, progress: ProgressCounter())
    let version = try engine.makeVersion(made.ranks)
    #expect(try ask() == before, "made, not activated")
    engine.activate(version)
    let wanted = try Driver(other).step((mine, 0, Driver(other).blocks(32), .prefill))[0]
    #expect(try ask() == wanted && wanted != before)
    engine.activate(engine.fileWeights)
    #expect(try ask() == before)
    // A version is good for as long as the engine is, whatever came in between.
    engine.activate(version)
    #expect(try ask() == wanted)
  }

  @Test func `a registry finds the back end that a plan names, and says what there is where none is`() async throws {
    let life = Lifecycle()
    for (index, subject) in Subject.all.enumerated() where subject.model.tensorParallel * subject.model.pipelineParallel == 1 {
      let name = "engine-\(index)"
      _ = try await subject.open(in: life, name)
      let others = BackendRegistry(subject.registry.backends.filter { $0.target != subject.backend.target })
      let error = #expect(throws: EngineError.self) { _ = try others.open(try EngineDirectory(life.directory(name))) }
      #expect(error?.description.contains("built for \"\(subject.backend.target)\"; this program runs \"\(others.standard.target)\" engines") == true)
    }
  }
}

extension Subject {
  var empty: [[String: WeightMemory]] { Array(repeating: [:], count: model.tensorParallel * model.pipelineParallel) }
}
