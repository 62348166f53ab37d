import Engines
import Execution
import Inference
import TestSupport
import Testing

@Suite struct SchedulerTests {
  /// Runs a scheduler by hand: sequence by sequence, step by step.
  struct Bench {
    var scheduler: Scheduler
    var arrivals: UInt64 = 0
    init(rows: Int, sequences: Int, blocks: Int, blockTokens: Int = 4, catchUpRows: Int = .max) {
      scheduler = Scheduler(
        limits: .init(maximumRows: rows, maximumSequences: sequences, maximumCatchUpRowsBesideDecode: catchUpRows),
        blockCount: blocks, blockTokens: blockTokens)
    }
    mutating func add(_ prompt: [Int32]) -> SequenceID {
      arrivals += 1
      scheduler.add(.init(arrival: arrivals), promptIDs: prompt)
      return .init(arrival: arrivals)
    }
    mutating func add(length: Int) -> SequenceID { add((0..<length).map { Int32($0) + 100 * Int32(arrivals + 1) }) }
    /// Plans, computes, and gives every sequence that wants one token 7.
    mutating func step() -> StepPlan {
      let plan = scheduler.next()
      scheduler.complete(plan)
      for slice in plan.slices where slice.wantsLogits { scheduler.append(7, to: slice.id) }
      return plan
    }
  }
  func slice(_ id: SequenceID, _ positions: Range<Int>, _ phase: SequenceSlice.Phase, wants: Bool) -> StepPlan.Slice {
    .init(id: id, positions: positions, phase: phase, wantsLogits: wants)
  }

  @Test func `a long prompt is read in chunks beside answers`() {
    var bench = Bench(rows: 10, sequences: 4, blocks: 100, catchUpRows: 6)
    let first = bench.add(length: 3)
    #expect(bench.step().slices == [slice(first, 0..<3, .prefill, wants: true)])
    let second = bench.add(length: 16)
    #expect(
      bench.step().slices
        == [slice(first, 3..<4, .decode, wants: true), slice(second, 0..<6, .prefill, wants: false)])
    bench.scheduler.remove(first)
    // Alone, it gets all rows.
    #expect(bench.step().slices == [slice(second, 6..<16, .prefill, wants: true)])
    #expect(bench.step().slices == [slice(second, 16..<17, .decode, wants: true)])
  }

  @Test func `prompts are read in order of arrival`() {
    var bench = Bench(rows: 8, sequences: 4, blocks: 100)
    let first = bench.add(length: 10)
    let second = bench.add(length: 5)
    #expect(bench.step().slices == [slice(first, 0..<8, .prefill, wants: false)])
    #expect(
      bench.step().slices == [slice(first, 8..<10, .prefill, wants: true), slice(second, 0..<5, .prefill, wants: true)])
  }

  @Test func `no more sequences run than may, and the next joins when one leaves`() {
    var bench = Bench(rows: 100, sequences: 2, blocks: 100)
    let ids = (0..<3).map { _ in bench.add(length: 2) }
    #expect(bench.step().admitted == [ids[0], ids[1]])
    #expect(bench.step().admitted == [])
    bench.scheduler.remove(ids[0])
    #expect(bench.step().admitted == [ids[2]])
  }

  @Test func `the youngest yields when blocks run out, and comes back first`() {
    // Two sequences of 2 blocks in a cache of 5 grow a third block each: the second cannot.
    var bench = Bench(rows: 100, sequences: 4, blocks: 5)
    let first = bench.add(length: 8)
    let second = bench.add(length: 7)
    let third = bench.add(length: 8)
    #expect(bench.step().admitted == [first, second])
    _ = bench.step()  // first takes block 3 of its own; second fills its second block
    let plan = bench.step()
    #expect(plan.preempted == [second])
    #expect(plan.slices.map(\.id) == [first])
    #expect(bench.scheduler.waiting == [second, third])
    #expect(bench.scheduler[second]?.tokens.count == 9)
    bench.scheduler.remove(first)
    let back = bench.step()
    #expect(back.admitted.first == second)
    // Its prompt's full block is found; the rest of the prompt is prefill and asks for nothing.
    #expect(back.slices.first == slice(second, 4..<7, .prefill, wants: false))
    #expect(bench.step().slices.first == slice(second, 7..<9, .decode, wants: true))
  }

  @Test func `a prompt that fits only when all is free waits at the head of the queue`() {
    var bench = Bench(rows: 100, sequences: 4, blocks: 6)
    let first = bench.add(length: 4)
    let large = bench.add(length: 22)
    let small = bench.add(length: 1)
    #expect(bench.step().admitted == [first])
    for _ in 0..<5 { #expect(bench.step().admitted == []) }  // nobody overtakes
    bench.scheduler.remove(first)
    #expect(bench.step().admitted == [large])
    bench.scheduler.remove(large)
    #expect(bench.step().admitted == [small])
  }

  @Test func `of equal prompts the second uses the first one's blocks`() {
    var bench = Bench(rows: 100, sequences: 4, blocks: 100)
    let prompt = (0..<10).map { Int32($0) }
    let first = bench.add(prompt)
    _ = bench.step()
    let second = bench.add(prompt)
    #expect(bench.step().slices.last == slice(second, 8..<10, .prefill, wants: true))
    #expect(bench.scheduler[first]?.blocks.prefix(2) == bench.scheduler[second]?.blocks.prefix(2))
    #expect(bench.scheduler[first]?.blocks[2] != bench.scheduler[second]?.blocks[2])
    #expect(bench.scheduler[second]?.cachedPromptTokens == 8)
  }

  @Test func `equal prompts that were read side by side share their blocks afterwards`() {
    var bench = Bench(rows: 100, sequences: 4, blocks: 100)
    let prompt = (0..<10).map { Int32($0) }
    let ids = [bench.add(prompt), bench.add(prompt)]
    _ = bench.step()
    #expect(bench.scheduler[ids[0]]?.blocks.prefix(2) == bench.scheduler[ids[1]]?.blocks.prefix(2))
    #expect(bench.scheduler.blocks.heldCount == 4)
  }

  @Test("after forgetting, no prompt finds what was computed before", arguments: [1, 2])
  func forgetting(stepsBefore: Int) {
    var bench = Bench(rows: 3, sequences: 4, blocks: 100)
    let prompt = (0..<10).map { Int32($0) }
    let first = bench.add(prompt)
    for _ in 0..<stepsBefore { _ = bench.step() }
    bench.scheduler.forgetPrefixes()
    for _ in 0..<4 { _ = bench.step() }  // ends reading the prompt; its blocks mix old and new
    let second = bench.add(prompt)
    _ = bench.step()
    #expect(bench.scheduler[second]?.cachedPromptTokens == 0)
    bench.scheduler.remove(first)
    bench.scheduler.remove(second)
    // What was read after forgetting counts again.
    let third = bench.add(prompt)
    for _ in 0..<4 { _ = bench.step() }
    let fourth = bench.add(prompt)
    _ = bench.step()
    #expect(bench.scheduler[third]?.cachedPromptTokens == 0)
    #expect(bench.scheduler[fourth]?.cachedPromptTokens == 8)
  }

  @Test func `while new sequences are held off, preempted ones still come back`() {
    var bench = Bench(rows: 100, sequences: 4, blocks: 100)
    let first = bench.add(length: 6)
    _ = bench.step()
    bench.scheduler.admitsNewSequences = false
    bench.scheduler.preemptAll()
    _ = bench.add(length: 6)
    #expect(bench.scheduler.isAnyUnderWay)
    #expect(bench.step().admitted == [first])
    bench.scheduler.remove(first)
    #expect(!bench.scheduler.isAnyUnderWay)
    #expect(bench.step().isEmpty)
  }

  @Test(
    "whatever comes, every sequence ends, in fair order, and blocks have one owner",
    arguments: 1...40 as ClosedRange<UInt64>)
  func invariants(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    func random(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
    let blockTokens = random(1...6)
    let limits = ExecutorLimits(
      vocabularySize: 64, maximumSequenceLength: random(10...80), maximumBatchRows: random(1...20),
      maximumSequences: random(1...8), cacheBlockTokens: blockTokens, cacheBlockCount: random(4...40))
    var bench = Bench(
      rows: limits.maximumBatchRows, sequences: limits.maximumSequences, blocks: limits.cacheBlockCount,
      blockTokens: blockTokens, catchUpRows: random(1...10))
    let executor = FakeExecutor(limits)
    let prefixes = (0..<3).map { index in (0..<limits.longestSequence / 2).map { Int32(($0 * 7 + index) % 64) } }
    var goals: [SequenceID: Int] = [:]
    var ended = 0
    var preemptions = 0
    var stepsWithoutEnd = 0
    let total = 60

    while ended < total {
      while bench.arrivals < total, goals.count < random(0...12) {
        let prefix = prefixes[random(0...2)].prefix(random(0...limits.longestSequence / 2))
        let tail = (0..<random(1...max(1, limits.longestSequence / 3))).map { _ in Int32(random(0...63)) }
        let prompt = Array((prefix + tail).prefix(limits.longestSequence - 1))
        let id = bench.add(prompt)
        goals[id] = prompt.count + random(1...limits.longestSequence - prompt.count)
      }
      if random(0...30) == 0 { bench.scheduler.preemptAll() }
      if random(0...40) == 0 { bench.scheduler.forgetPrefixes() }
      if random(0...20) == 0, let victim = goals.keys.sorted().randomElement(using: &generator) {
        bench.scheduler.remove(victim)
        goals[victim] = nil
        ended += 1
      }

      let plan = bench.scheduler.next()
      guard !plan.isEmpty else {
        #expect(goals.isEmpty, "nothing runs though \(goals.count) sequences are left")
        continue
      }
      preemptions += plan.preempted.count
      try check(bench.scheduler, plan, limits)
      #expect(plan.slices.first?.id == goals.keys.min(), "the oldest sequence must advance in every step")
      // The executor checks rows, tables and the content of every block.
      try unsafe executor.step(bench.scheduler.batch(for: plan)) { _, _ in }
      bench.scheduler.complete(plan)
      stepsWithoutEnd += 1
      for slice in plan.slices where slice.wantsLogits {
        guard let length = bench.scheduler[slice.id]?.tokens.count, let goal = goals[slice.id] else { continue }
        if length + 1 == goal {
          bench.scheduler.remove(slice.id)
          goals[slice.id] = nil
          ended += 1
          stepsWithoutEnd = 0
        } else {
          bench.scheduler.append(Int32(random(0...63)), to: slice.id)
        }
      }
      try #require(stepsWithoutEnd < 1000, "no sequence ended for 1000 steps")
    }
    #expect(bench.scheduler.isEmpty)
    #expect(bench.scheduler.blocks.availableCount == limits.cacheBlockCount)
  }

  func check(_ scheduler: Scheduler, _ plan: StepPlan, _ limits: ExecutorLimits) throws {
    #expect(plan.rowCount <= limits.maximumBatchRows)
    #expect(scheduler.running.count <= limits.maximumSequences)
    #expect(scheduler.running == scheduler.running.sorted())
    if let last = scheduler.running.last, let first = scheduler.waiting.first { #expect(last < first, "overtaken") }
    #expect(Set(plan.slices.map(\.id)).count == plan.slices.count)
    #expect(Set(plan.admitted).isDisjoint(with: plan.preempted), "yielded and came straight back")
    var holders: [Int32: [SequenceID]] = [:]
    for id in scheduler.running {
      let sequence = try #require(scheduler[id])
      for (index, block) in sequence.blocks.enumerated() {
        holders[block, default: []].append(id)
        let end = (index + 1) * limits.cacheBlockTokens
        if scheduler.blocks.referenceCount(block) > 1 {
          #expect(end <= sequence.promptCount, "a shared block must be full of prompt")
          #expect(end <= sequence.computed, "a shared block must not be written to")
        }
      }
      #expect(sequence.pending > 0)
    }
    for (block, ids) in holders {
      #expect(scheduler.blocks.referenceCount(block) == ids.count)
      guard let first = ids.first.flatMap({ scheduler[$0] }), ids.count > 1 else { continue }
      let index = try #require(first.blocks.firstIndex(of: block))
      let end = (index + 1) * limits.cacheBlockTokens
      for id in ids {
        let other = try #require(scheduler[id])
        #expect(other.blocks[index] == block && other.tokens[..<end] == first.tokens[..<end], "unlike prefixes share")
      }
    }
    #expect(scheduler.blocks.heldCount == holders.count)
    for id in scheduler.waiting { #expect(scheduler[id]?.blocks == []) }
    for slice in plan.slices {
      let sequence = try #require(scheduler[slice.id])
      #expect(slice.positions.lowerBound == sequence.computed)
      let isPrompt = slice.positions.upperBound <= sequence.promptCount
      let isAnswer = slice.positions.lowerBound >= sequence.promptCount
      #expect(slice.phase == .prefill ? isPrompt : isAnswer, "a slice holds tokens of one phase")
      #expect(slice.wantsLogits == (slice.positions.upperBound == sequence.tokens.count))
    }
  }
}
