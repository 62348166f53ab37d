import Engines
import Execution
import Files
import SystemPackage
import Threads

/// A model of random weights on the card: against the processor, and against itself in every other order of work, to the bit.
struct Comparison {
  let shape: ModelShape
  let models: Models
  let report: Report

  init(_ shape: ModelShape, _ models: Models, _ report: Report) { (self.shape, self.models, self.report) = (shape, models, report) }

  func run() async throws {
    report.tell("model of \(shape.description)")
    let model = try models.write(shape, "model", seed: 1), other = try models.write(shape, "other", seed: 2)
    let path = try await models.build(model, "cuda", models.cuda)
    let engine = try models.open(path, models.cuda)
    let steps = Steps(engine)
    let length = 700
    let prompt = tokens(length + 40, seed: 1)
    let blocks = steps.blocks(length + 40)
    let wanted = try steps.prompt(Array(prompt[..<length]), blocks, pieces: [512])
    report.check(wanted.count == shape.vocabulary && wanted.allSatisfy(\.isFinite), "logits are numbers")
    let processor = try await processor(model)
    try compare(Array(prompt[..<300]), processor, engine, "as on the processor")
    try cuts(prompt, length, steps, wanted)
    let next = try steps.logits([.init(tokens: prompt[length..<length + 1], first: length, blocks: blocks, phase: .decode)])[0][0]
    try batches(prompt, length, steps, blocks, next)
    try repeats(prompt, length, steps, blocks, next)
    try answers(prompt, length, steps, blocks, next)
    refusals(steps)
    try await weights(path, other, steps, Array(prompt[..<200]))
    try await adapter(Array(prompt[..<300]), processor, engine)
    for name in ["model", "other", "cuda", "cpu", "cuda-other", "adapter"] { models.scratch.remove(name) }
  }

  private func tokens(_ count: Int, seed: UInt64) -> [Int32] {
    var random = SplitMix(state: seed)
    return (0..<count).map { _ in Int32(random.next() % UInt64(shape.vocabulary)) }
  }

  private func processor(_ model: FilePath) async throws -> any OpenedEngine {
    try models.open(try await models.build(model, "cpu", models.cpu), models.cpu)
  }

  /// Probabilities of every token of the vocabulary after some of a prompt's rows.
  private func compare(_ prompt: [Int32], _ cpu: any OpenedEngine, _ cuda: any OpenedEngine, _ what: String) throws {
    func rows(_ engine: any OpenedEngine) throws -> [[Float]] {
      let steps = Steps(engine)
      return try steps.logits([.init(tokens: prompt[...], first: 0, blocks: steps.blocks(prompt.count), wanted: 40)])[0]
    }
    var worst = 0.0, sum = 0.0, count = 0, differing = 0
    for (one, other) in zip(try rows(cpu), try rows(cuda)) {
      let (p, q) = (logProbabilities(one), logProbabilities(other))
      for (a, b) in zip(p, q) { worst = max(worst, abs(a - b)); sum += (a - b) * (a - b); count += 1 }
      let best = one.indices.sorted { one[$0] > one[$1] }.prefix(2), mine = other.indices.max { other[$0] < other[$1] }
      if mine != best.first, let first = best.first, let second = best.last, one[first] - one[second] > 0.15 { differing += 1 }
    }
    let mean = (sum / Double(max(1, count))).squareRoot()
    report.check(
      count > 0 && mean < 0.03 && worst < 0.3 && differing == 0,
      "\(what): log-probabilities differ by \(rounded(mean)) in the mean, \(rounded(worst)) at most; \(differing) of 40 likeliest tokens differ beyond a margin of 0.15")
  }

  private func cuts(_ prompt: [Int32], _ length: Int, _ steps: Steps, _ wanted: [Float]) throws {
    var wrong: [String] = []
    for pieces in [[1, 2, 3, 5, 17], [16], [63, 64, 65], [255, 257], [300, 129, 8]] {
      let blocks = steps.blocks(length)
      defer { steps.give(blocks) }
      if !isSame(try steps.prompt(Array(prompt[..<length]), blocks, pieces: pieces), wanted) { wrong.append("\(pieces)") }
    }
    // The end of a prompt as tokens that were generated, one by one, and what was generated as a prompt.
    let blocks = steps.blocks(length)
    defer { steps.give(blocks) }
    _ = try steps.prompt(Array(prompt[..<(length - 30)]), blocks, pieces: [200])
    var last: [Float] = []
    for position in length - 30..<length {
      last = try steps.logits([.init(tokens: prompt[position..<position + 1], first: position, blocks: blocks, phase: .decode)])[0][0]
    }
    if !isSame(last, wanted) { wrong.append("generated") }
    report.check(wrong.isEmpty, "a prompt of \(length) cut anywhere, or generated: equal bits" + (wrong.isEmpty ? "" : ", but not \(wrong)"))
  }

  /// The next token of a sequence beside others, which are of other lengths.
  private func batches(_ prompt: [Int32], _ length: Int, _ steps: Steps, _ blocks: [Int32], _ wanted: [Float]) throws {
    var others: [(blocks: [Int32], length: Int)] = []
    for index in 0..<63 {
      let count = 1 + (index * 97) % 320
      let table = steps.blocks(count + 1)
      _ = try steps.prompt(Array(tokens(count, seed: UInt64(100 + index))), table, pieces: [512])
      others.append((table, count))
    }
    defer { for other in others { steps.give(other.blocks) } }
    var wrong: [Int] = []
    for count in [1, 7, 8, 9, 15, 31, 32, 63] where count < steps.engine.limits.maximumSequences {
      for place in Set([0, count / 2, count]) {
        var parts = others.prefix(count).map { Steps.Part(tokens: [5], first: $0.length, blocks: $0.blocks, phase: .decode) }
        parts.insert(.init(tokens: prompt[length..<length + 1], first: length, blocks: blocks, phase: .decode), at: place)
        if !isSame(try steps.logits(parts)[place][0], wanted) { wrong.append(count) }
      }
    }
    // Beside a prompt, which other kernels compute.
    let table = steps.blocks(300)
    defer { steps.give(table) }
    let mixed = try steps.logits([
      .init(tokens: tokens(300, seed: 9)[...], first: 0, blocks: table), .init(tokens: prompt[length..<length + 1], first: length, blocks: blocks, phase: .decode),
    ])
    if !isSame(mixed[1][0], wanted) { wrong.append(-1) }
    // Its beginning found in the blocks of another.
    let found = Array(blocks[..<(length / 16)]) + steps.blocks(32)
    if !isSame(try steps.prompt(Array(prompt[...length]), found, pieces: [512], from: length / 16 * 16), wanted) { wrong.append(-2) }
    report.check(wrong.isEmpty, "a sequence alone and among 1 to 63 others, beside a prompt, and from found blocks: equal bits" + (wrong.isEmpty ? "" : ", but not \(wrong)"))
  }

  private func repeats(_ prompt: [Int32], _ length: Int, _ steps: Steps, _ blocks: [Int32], _ wanted: [Float]) throws {
    var differing = 0
    for _ in 0..<100 {
      let again = try steps.logits([.init(tokens: prompt[length..<length + 1], first: length, blocks: blocks, phase: .decode)])[0][0]
      if !isSame(again, wanted) { differing += 1 }
    }
    report.check(differing == 0, "100 times the same step: \(differing) differ")
  }

  private func answers(_ prompt: [Int32], _ length: Int, _ steps: Steps, _ blocks: [Int32], _ wanted: [Float]) throws {
    let token = try steps.tokens([.init(tokens: prompt[length..<length + 1], first: length, blocks: blocks, phase: .decode)])[0]
    let first = wanted.firstIndex(of: wanted.max() ?? 0) ?? -1
    report.check(token == Int32(first), "the likeliest token is chosen on the card")
  }

  private func refusals(_ steps: Steps) {
    let limits = steps.engine.limits
    let wrong: [(Int32, Int, [Int32])] = [(-1, 0, [0]), (Int32(limits.vocabularySize), 0, [0]), (1, 0, [Int32(limits.cacheBlockCount)]), (1, 16, [0]), (1, -1, [0])]
    let refused = wrong.filter { token, first, table in
      (try? steps.logits([.init(tokens: [token], first: first, blocks: table, phase: .decode)])) == nil
    }
    report.check(refused.count == wrong.count, "batches that do not fit are refused")
  }

  /// Other weights while the engine is open, and back.
  private func weights(_ path: FilePath, _ other: FilePath, _ steps: Steps, _ prompt: [Int32]) async throws {
    let before = try steps.prompt(prompt, steps.blocks(prompt.count), pieces: [512])
    let refitter = try await LiveRefitter(try EngineDirectory(path))
    let made = try await refitter.make(
      LiveSource(path: other.string), on: LiveBase(version: "file", ranks: [[:]], digests: refitter.digests, lineage: nil),
      workers: Processors.count, progress: ProgressCounter())
    let version = try steps.engine.makeVersion(made.ranks)
    let unchanged = try steps.prompt(prompt, steps.blocks(prompt.count), pieces: [512])
    steps.engine.activate(version)
    let after = try steps.prompt(prompt, steps.blocks(prompt.count), pieces: [512])
    let fresh = Steps(try models.open(try await models.build(other, "cuda-other", models.cuda), models.cuda, cacheByteCount: 1 << 30))
    let wanted = try fresh.prompt(prompt, fresh.blocks(prompt.count), pieces: [512])
    steps.engine.activate(steps.engine.fileWeights)
    let undone = try steps.prompt(prompt, steps.blocks(prompt.count), pieces: [512])
    report.check(
      isSame(unchanged, before) && isSame(after, wanted) && !isSame(after, before) && isSame(undone, before),
      "weights change between steps to those of another engine, and back: equal bits")
  }

  /// An adapter put on the open engine's weights, there and on the processor, and taken off again.
  private func adapter(_ prompt: [Int32], _ cpu: any OpenedEngine, _ cuda: any OpenedEngine) async throws {
    try Adapter(shape: shape).write(models.scratch("adapter"), seed: 4)
    let steps = Steps(cuda)
    let before = try steps.prompt(prompt, steps.blocks(prompt.count), pieces: [512])
    for (engine, name) in [(cpu, "cpu"), (cuda, "cuda")] {
      let refitter = try await LiveRefitter(try EngineDirectory(models.scratch(name)))
      let made = try await refitter.make(LiveSource(path: models.scratch("adapter").string), workers: Processors.count)
      let version = try engine.makeVersion(made.ranks)
      try engine.makeReady(version)
      engine.activate(version)
    }
    let after = try steps.prompt(prompt, steps.blocks(prompt.count), pieces: [512])
    try compare(prompt, cpu, cuda, "with an adapter as on the processor with it")
    for engine in [cpu, cuda] { engine.activate(engine.fileWeights) }
    let undone = try steps.prompt(prompt, steps.blocks(prompt.count), pieces: [512])
    report.check(isSame(undone, before) && !isSame(after, before), "without the adapter again: equal bits")
    try compare(prompt, cpu, cuda, "and as on the processor without it")
  }

  private func rounded(_ value: Double) -> String { "\((value * 10000).rounded() / 10000)" }
}
