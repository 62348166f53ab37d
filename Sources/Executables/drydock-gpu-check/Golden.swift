import Engines
import Execution
import Files
import JSON
import SystemPackage

/// A real model's greedy tokens and probabilities, as a reference computed them in float32 from the same bfloat16 weights.
struct Golden {
  let model: FilePath
  let golden: FilePath
  let models: Models
  let report: Report
  /// The one that `golden` has answers with.
  let adapter: FilePath?

  init(_ model: FilePath, _ golden: FilePath, adapter: FilePath?, _ models: Models, _ report: Report) {
    (self.model, self.golden, self.adapter, self.models, self.report) = (model, golden, adapter, models, report)
  }

  func run() async throws {
    let reference = try JSONValue(parsing: try ReadableFile.contents(of: golden))
    let cuda = try models.open(try await models.build(model, "golden-cuda", models.cuda), models.cuda)
    let cpu = try models.open(try await models.build(model, "golden-cpu", models.cpu), models.cpu, sequences: 4)
    let base = reference["base_bfloat16"]?.array ?? []
    for entry in base { try compare(entry, cuda, cpu) }
    if let adapter {
      let before = try base.map { try generate(numbers($0["input_ids"]), 20, cuda) }
      for (engine, name) in [(cuda, "golden-cuda"), (cpu, "golden-cpu")] {
        let refitter = try await LiveRefitter(try EngineDirectory(models.scratch(name)))
        engine.activate(try engine.makeVersion(try await refitter.make(LiveSource(path: adapter.string), workers: Processors.count).ranks))
      }
      report.tell("with the adapter")
      for entry in reference["lora_bfloat16"]?.array ?? [] { try compare(entry, cuda, cpu) }
      for engine in [cuda, cpu] { engine.activate(engine.fileWeights) }
      let undone = try base.map { try generate(numbers($0["input_ids"]), 20, cuda) }
      report.check(
        !base.isEmpty && zip(before, undone).allSatisfy { $0.tokens == $1.tokens && isSame($0.first, $1.first) },
        "without the adapter again: equal bits of all \(base.count) prompts")
    }
    for name in ["golden-cuda", "golden-cpu"] { models.scratch.remove(name) }
  }

  private func compare(_ entry: JSONValue, _ cuda: any OpenedEngine, _ cpu: any OpenedEngine) throws {
    let input = numbers(entry["input_ids"]), wanted = numbers(entry["greedy_ids"])
    let margins = (entry["margins"]?.array ?? []).map { $0.double ?? 0 }
    let name = entry["prompt"]?.string?.prefix(30) ?? ""
    let (mine, others) = (try generate(input, wanted.count, cuda), try generate(input, wanted.count, cpu))
    let found = mine.tokens
    // Where a margin is small, a rounding may choose: what follows is of another text.
    let differs = found.indices.first { found[$0] != wanted[$0] }
    let isRight = differs.map { margins.indices.contains($0) && margins[$0] < 0.15 } ?? true
    let common = zip(mine.tokens, others.tokens).prefix { $0 == $1 }.count
    report.check(
      isRight,
      "\"\(name)\": \(differs.map { "tokens differ from the reference's at \($0), where the margin is \(margins[$0])" } ?? "all \(found.count) greedy tokens")"
        + "; \(common) of them as on the processor")
    let top = numbers(entry["next_token_top10"]?["ids"])
    let probabilities = (entry["next_token_top10"]?["logprobs"]?.array ?? []).map { $0.double ?? 0 }
    func worst(_ logits: [Float]) -> Double {
      let found = logProbabilities(logits)
      return zip(top, probabilities).map { abs(found[Int($0)] - $1) }.max() ?? 1
    }
    let (here, there) = (worst(mine.first), worst(others.first))
    report.check(
      here < 0.15,
      "\"\(name)\": best ten log-probabilities differ from the reference's by \((here * 1000).rounded() / 1000) at most, the processor's by "
        + "\((there * 1000).rounded() / 1000)")
  }

  private func numbers(_ value: JSONValue?) -> [Int32] { (value?.array ?? []).compactMap { $0.int.map { Int32($0) } } }

  private func generate(_ prompt: [Int32], _ count: Int, _ engine: any OpenedEngine) throws -> (tokens: [Int32], first: [Float]) {
    let steps = Steps(engine)
    let blocks = steps.blocks(prompt.count + count)
    let first = try steps.prompt(prompt, blocks, pieces: [512])
    var tokens = [Int32(first.firstIndex(of: first.max() ?? 0) ?? 0)]
    while tokens.count < count {
      let part = Steps.Part(tokens: tokens[(tokens.count - 1)...], first: prompt.count + tokens.count - 1, blocks: blocks, phase: .decode)
      tokens.append(try steps.tokens([part])[0])
    }
    return (tokens, first)
  }
}
