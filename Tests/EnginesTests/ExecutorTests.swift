import CPUBackend
import EngineFixtures
import Execution
import CPUKernels
import Engines
import Tensors
import TestSupport
import Testing

@Suite struct ExecutorTests {
  /// Steps of one sequence, or several, with blocks handed out in an odd order.
  private final class Driver {
    let engine: CPUEngine
    private var free: [Int32]
    init(_ directory: EngineDirectory, isa: InstructionSet, threads: Int) throws {
      var options = ExecutorOptions()
      options.threadCount = threads
      options.maximumSequences = 4
      engine = try CPUEngine(directory, options: options, instructionSet: isa)
      free = (0..<Int32(engine.limits.cacheBlockCount)).reversed().map { $0 }
    }
    func blocks(_ tokens: Int) -> [Int32] { (0..<(tokens + 15) / 16).map { _ in free.removeLast() } }

    /// Runs slices given as (tokens, first position, blocks, phase); gives each slice's logits.
    func step(_ slices: [(tokens: [Int32], first: Int, blocks: [Int32], phase: SequenceSlice.Phase)]) throws -> [[Float]] {
      var batch = Batch(tokens: [], sequences: [])
      for slice in slices {
        let start = batch.tokens.count
        batch.tokens += slice.tokens
        batch.sequences.append(
          SequenceSlice(
            rows: start..<batch.tokens.count, firstPosition: slice.first, blockTable: slice.blocks, phase: slice.phase, wantsLogits: true))
      }
      var result = [[Float]](repeating: [], count: slices.count)
      unsafe try engine.step(batch) { index, logits in unsafe result[index] = Array(logits) }
      return result
    }
  }

  private func tokens(_ count: Int, _ vocabulary: Int, seed: UInt64) -> [Int32] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in Int32.random(in: 0..<Int32(vocabulary), using: &random) }
  }
  /// Prefill rounds activations to bfloat16 where the weights are bfloat16. A cache of bfloat16 rounds at other places than
  /// doubles where float32 had a digit less.
  private static func tolerance(_ model: SmallModel) -> Double {
    switch model.type {
    case .float32: 2e-4
    case .float16: 2e-3
    default: 0.06
    }
  }
  static var sets: [InstructionSet] { InstructionSet.allCases.filter { $0.rawValue <= InstructionSet.best.rawValue } }

  @Test(arguments: SmallModel.all)
  func `logits agree with a reference in doubles`(_ model: SmallModel) async throws {
    let life = Lifecycle()
    try await life.build(try model.write(life.directory, "A", seed: 11), "engine")
    let directory = try EngineDirectory(life.directory("engine"))
    let prompt = tokens(21, model.vocabulary, seed: 12)
    let wanted = ReferenceModel(model, seed: 11).logits(prompt)
    for isa in Self.sets {
      let driver = try Driver(directory, isa: isa, threads: 2)
      let blocks = driver.blocks(prompt.count)
      // A prompt of 18, then three tokens one by one.
      var found = [17: try driver.step([(Array(prompt[0..<18]), 0, blocks, .prefill)])[0]]
      for position in 18..<21 { found[position] = try driver.step([([prompt[position]], position, blocks, .decode)])[0] }
      let tolerance = Self.tolerance(model)
      for (position, logits) in found {
        #expect(logits.count == model.vocabulary)
        for (mine, reference) in zip(logits, wanted[position]) {
          #expect(abs(Double(mine) - reference) <= tolerance, "\(isa.name), position \(position): \(mine), wanted \(reference)")
        }
      }
    }
  }

  @Test(arguments: [SmallModel.all[0], SmallModel.all[2], SmallModel.all[4], SmallModel.all[6]], [1, 2, 3])
  func `a sequence's logits do not depend on chunks, company or threads`(_ model: SmallModel, _ threads: Int) async throws {
    let life = Lifecycle()
    try await life.build(try model.write(life.directory, "A", seed: 13), "engine")
    let directory = try EngineDirectory(life.directory("engine"))
    let isa = InstructionSet.best
    let (prompt, other) = (tokens(40, model.vocabulary, seed: 14), tokens(23, model.vocabulary, seed: 15))
    let alone = try Driver(directory, isa: isa, threads: 1)
    let aloneBlocks = alone.blocks(44)
    var wanted = [try alone.step([(prompt, 0, aloneBlocks, .prefill)])[0]]
    for position in 40..<44 { wanted.append(try alone.step([([Int32(position % model.vocabulary)], position, aloneBlocks, .decode)])[0]) }

    let crowd = try Driver(directory, isa: isa, threads: threads)
    let (mine, theirs, third) = (crowd.blocks(44), crowd.blocks(64), crowd.blocks(64))
    _ = try crowd.step([(Array(other[0..<5]), 0, theirs, .prefill), (Array(prompt[0..<7]), 0, mine, .prefill)])
    _ = try crowd.step([([other[5]], 5, theirs, .decode), (Array(prompt[7..<33]), 7, mine, .prefill), (other, 0, third, .prefill)])
    var found = [try crowd.step([(Array(prompt[33..<40]), 33, mine, .prefill), ([other[6]], 6, theirs, .decode)])[0]]
    for position in 40..<42 {
      found.append(try crowd.step([([other[7]], position - 33, theirs, .decode), ([Int32(position % model.vocabulary)], position, mine, .decode)])[1])
    }
    // Two known tokens in one decode slice, as after a preemption.
    let last = (42..<44).map { Int32($0 % model.vocabulary) }
    found.append(try crowd.step([(last, 42, mine, .decode)])[0])
    #expect(found[0] == wanted[0], "prompt in three chunks")
    #expect(found[1] == wanted[1] && found[2] == wanted[2], "decoded in company")
    #expect(found[3] == wanted[4], "two rows of one sequence")
  }

  @Test(arguments: [SmallModel.all[0], SmallModel.all[2], SmallModel.all[4]])
  func `logits of many rows of a prompt are those of each row alone, and agree with a reference in doubles`(_ model: SmallModel) async throws {
    let life = Lifecycle()
    try await life.build(try model.write(life.directory, "A", seed: 17), "engine")
    let directory = try EngineDirectory(life.directory("engine"))
    let prompt = tokens(30, model.vocabulary, seed: 18)
    let wanted = ReferenceModel(model, seed: 17).logits(prompt)
    let tolerance = Self.tolerance(model)
    let (driver, single) = (try Driver(directory, isa: .best, threads: 2), try Driver(directory, isa: .best, threads: 1))
    let blocks = driver.blocks(30)
    var found: [[Float]] = []
    for rows in [0..<11, 11..<30] {
      let slice = SequenceSlice(
        rows: 0..<rows.count, firstPosition: rows.lowerBound, blockTable: blocks, phase: .prefill, logitRows: rows.count)
      unsafe try driver.engine.step(Batch(tokens: Array(prompt[rows]), sequences: [slice])) { _, logits in unsafe found.append(Array(logits)) }
    }
    try #require(found.count == 30)
    let again = single.blocks(30)
    for position in 0..<30 {
      for (mine, reference) in zip(found[position], wanted[position]) { #expect(abs(Double(mine) - reference) <= tolerance) }
      #expect(try single.step([(Array(prompt[0...position]), 0, again, .prefill)])[0] == found[position], "position \(position)")
    }
    for count in [-1, 12] {
      let slice = SequenceSlice(rows: 0..<11, firstPosition: 0, blockTable: blocks, phase: .prefill, logitRows: count)
      #expect(throws: BatchError.self) {
        unsafe try driver.engine.step(Batch(tokens: Array(prompt[0..<11]), sequences: [slice])) { _, _ in }
      }
    }
  }

  /// Cosines and sines are computed in blocks as positions are reached, here by two sequences in turn.
  @Test(arguments: [SmallModel.all[2], SmallModel.all[5]], [ElementType.float32, .bfloat16])
  func `positions that nobody reached before are turned as the reference turns them`(_ model: SmallModel, _ cache: ElementType) async throws {
    let life = Lifecycle()
    try await life.build(try model.write(life.directory, "A", seed: 19), "engine", cache: cache)
    let driver = try Driver(try EngineDirectory(life.directory("engine")), isa: .best, threads: 2)
    let prompt = tokens(128, model.vocabulary, seed: 20)
    let wanted = ReferenceModel(model, seed: 19, cache: cache).logits(prompt)
    let (first, second) = (driver.blocks(128), driver.blocks(128))
    var found: [Int: [Float]] = [:]
    found[9] = try driver.step([(Array(prompt[0..<10]), 0, first, .prefill)])[0]
    found[69] = try driver.step([(Array(prompt[0..<70]), 0, second, .prefill), (Array(prompt[10..<12]), 10, first, .decode)])[0]
    found[70] = try driver.step([([prompt[70]], 70, second, .decode)])[0]
    found[127] = try driver.step([(Array(prompt[12..<128]), 12, first, .prefill)])[0]
    for (position, logits) in found {
      for (mine, reference) in zip(logits, wanted[position]) {
        #expect(abs(Double(mine) - reference) <= (cache == .float32 ? 2e-4 : 2e-3), "position \(position)")
      }
    }
  }

  /// What prefix sharing rests on: who goes on after another's blocks computes as if they were its own.
  @Test(arguments: [SmallModel.all[0], SmallModel.all[1], SmallModel.all[2], SmallModel.all[4], SmallModel.all[6]], [ElementType.float32, .bfloat16])
  func `a prompt gets the same bits in one piece, in several, and after blocks that another left`(_ model: SmallModel, _ cache: ElementType) async throws {
    let life = Lifecycle()
    try await life.build(try model.write(life.directory, "A", seed: 21), "engine", cache: cache)
    let directory = try EngineDirectory(life.directory("engine"))
    #expect(directory.ranks.allSatisfy { $0.plan.caches.first?.elementType == cache })
    let shared = tokens(32, model.vocabulary, seed: 22)
    let (mine, other) = (shared + tokens(15, model.vocabulary, seed: 23), shared + tokens(9, model.vocabulary, seed: 24))
    for isa in Self.sets {
      let driver = try Driver(directory, isa: isa, threads: 2)
      let alone = driver.blocks(64)
      let wanted = try driver.step([(mine, 0, alone, .prefill)])[0]
      let next = try driver.step([([1], 47, alone, .decode)])[0]
      let pieces = driver.blocks(64)
      for rows in [0..<1, 1..<17, 17..<40] { _ = try driver.step([(Array(mine[rows]), rows.lowerBound, pieces, .prefill)]) }
      #expect(try driver.step([(Array(mine[40..<47]), 40, pieces, .prefill)])[0] == wanted, "in pieces, \(isa.name)")
      let theirs = driver.blocks(64)
      _ = try driver.step([(other, 0, theirs, .prefill)])
      let found = Array(theirs[0..<2]) + driver.blocks(32)
      #expect(try driver.step([(Array(mine[32..<47]), 32, found, .prefill)])[0] == wanted, "after another's blocks, \(isa.name)")
      #expect(try driver.step([([1], 47, found, .decode)])[0] == next, "decoded, \(isa.name)")
    }
  }

  @Test func `a batch that does not fit is refused before anything is computed`() async throws {
    let life = Lifecycle()
    try await life.build(try SmallModel().write(life.directory, "A", seed: 16), "engine")
    let driver = try Driver(try EngineDirectory(life.directory("engine")), isa: .best, threads: 1)
    let blocks = driver.blocks(16)
    for (tokens, first, blocks) in [
      ([Int32(37)], 0, blocks), ([-1], 0, blocks), ([1], 16, blocks), ([1], -1, blocks), ([1], 128, blocks), ([1], 0, [Int32(9999)]), ([1], 0, [-1]), ([], 0, blocks),
    ] {
      #expect(throws: BatchError.self, "\(tokens) at \(first) in \(blocks)") { try driver.step([(tokens, first, blocks, .decode)]) }
    }
  }
}
