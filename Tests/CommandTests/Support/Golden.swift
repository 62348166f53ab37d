import Foundation
import JSON
import SystemPackage
import TestSupport
import Testing

/// Results of an independent implementation, and how closely an engine must follow them.
struct Golden: Sendable {
  let results: JSONValue
  let count: Int
  /// With float32 weights tokens agree up to the first whose lead over the next is below this.
  let margin: Double
  /// Of log-probabilities, with float32 weights.
  let tolerance: Double
  /// Fewer positions of a list's prompts and answers than these compare too little.
  let positions: Int

  /// The same for bfloat16. Weights are the reference's to the bit; prefill rounds activations, and keys and values are rounded.
  private static let bfloat16 = (margin: 0.15, tolerance: 0.25)

  init(_ path: FilePath, count: Int = 8, positions: Int, margin: Double = 0, tolerance: Double = 2e-3) throws {
    (self.count, self.positions, self.margin, self.tolerance) = (count, positions, margin, tolerance)
    results = try JSONValue(parsing: try #require(contents(path)))
  }

  /// - Parameters:
  ///   - list: `base_float32` and so on.
  ///   - engine: Built from the same weights.
  func check(_ list: String, _ engine: FilePath, _ comment: String) throws {
    let cases = try #require(results[list]?.array)
    #expect(cases.count == count)
    let isFloat = list.hasSuffix("float32")
    for kind in ["raw", "chat"] {
      let wanted = cases.filter { $0["kind"]?.string == kind }
      guard !wanted.isEmpty else { continue }
      let found = try Command.generate(engine, wanted.compactMap { $0["prompt"]?.string }, chat: kind == "chat")
      try #require(found.count == wanted.count)
      for (wanted, found) in zip(wanted, found) {
        try compare(wanted, found, isFloat: isFloat, "\(comment), \(list), \(wanted["prompt"]?.string ?? "")")
      }
    }
    let scores = try ForcedScores(engine)
    let compared = try cases.reduce(0) { try $0 + force($1, scores, isFloat: isFloat, "\(comment), \(list), \($1["prompt"]?.string?.prefix(60) ?? "")") }
    #expect(compared >= positions, "\(comment), \(list): \(compared) positions")
  }

  private func integers(_ value: JSONValue?) throws -> [Int] {
    let list = try #require(value?.array)
    return list.compactMap(\.int)
  }
  private func numbers(_ value: JSONValue?) throws -> [Double] {
    let list = try #require(value?.array)
    return list.compactMap(\.double)
  }

  /// Every position of prompt and answer, with the reference's tokens whatever the engine would choose.
  ///
  /// - Returns: How many positions were compared.
  private func force(_ wanted: JSONValue, _ engine: ForcedScores, isFloat: Bool, _ comment: String) throws -> Int {
    let (prompt, answer) = (try integers(wanted["input_ids"]), try integers(wanted["greedy_ids"]))
    let values = try numbers(wanted["prompt_logprobs"]) + numbers(wanted["greedy_logprobs"])
    let margins = try numbers(wanted["margins"])
    let (certain, tolerance) = isFloat ? (margin, tolerance) : Self.bfloat16
    let found = try engine.positions(prompt: prompt, answer: answer)
    try #require(found.count == values.count && margins.count == answer.count && found.count == prompt.count + answer.count - 1, "\(comment)")
    for (index, (mine, value)) in zip(found, values).enumerated() {
      #expect(abs(mine.logProbability - value) <= tolerance, "\(comment): position \(index) has \(mine.logProbability), wanted \(value)")
    }
    for (index, (mine, margin)) in zip(found.suffix(answer.count), margins).enumerated() {
      // Of two logits.
      #expect(abs(mine.lead - margin) <= 2 * tolerance, "\(comment): step \(index) leads by \(mine.lead), wanted \(margin)")
      #expect(mine.lead > 0 || margin < certain, "\(comment): step \(index) would choose another token than one that leads by \(margin)")
    }
    return found.count
  }

  private func compare(_ wanted: JSONValue, _ found: JSONValue, isFloat: Bool, _ comment: String) throws {
    #expect(found["input_ids"] == wanted["input_ids"], "\(comment): prompt tokens")
    let ids = try integers(wanted["greedy_ids"])
    let margins = try numbers(wanted["margins"])
    let answer = try integers(found["output_ids"])
    // bfloat16 arithmetic may choose differently where two tokens were nearly as good.
    let certain = margins.firstIndex { $0 < (isFloat ? margin : Self.bfloat16.margin) } ?? ids.count
    #expect(Array(answer.prefix(certain)) == Array(ids.prefix(certain)), "\(comment): the first \(certain) tokens")
    if isFloat, margin == 0 { #expect(answer == ids, "\(comment): all tokens") }
    guard isFloat else { return }
    let first = try #require(found["top_logprobs"]?.array?.first?.array)
    var top: [Int: Double] = [:]
    for entry in first {
      if let id = entry["id"]?.int { top[id] = entry["logprob"]?.double }
    }
    let wantedIDs = try integers(wanted["next_token_top10"]?["ids"])
    let wantedValues = try numbers(wanted["next_token_top10"]?["logprobs"])
    for (id, value) in zip(wantedIDs, wantedValues) {
      // The tenth and eleventh may change places within the tolerance.
      guard let mine = top[id] else {
        #expect(value - (wantedValues.last ?? value) < tolerance, "\(comment): token \(id) is not among the first ten")
        continue
      }
      #expect(abs(mine - value) <= tolerance, "\(comment): log-probability of \(id) is \(mine), wanted \(value)")
    }
  }
}

/// Engines made by the commands, once for all tests of a process.
struct Engines {
  let directory = TemporaryDirectory()

  /// Converts and builds.
  func make(_ model: FilePath, dtype: String, tensor: Int, pipeline: Int) throws -> FilePath {
    let name = "\(dtype)-\(tensor)-\(pipeline)"
    let (checkpoint, base) = (directory(name), directory(name + "-base"))
    try Command.convert.succeed(
      "--model_dir", model.string, "--output_dir", checkpoint.string, "--dtype", dtype, "--tp_size", "\(tensor)",
      "--pp_size", "\(pipeline)")
    try Command.build.succeed("--checkpoint_dir", checkpoint.string, "--output_dir", base.string)
    return base
  }

  /// Converts, builds, and refits with the adapter; gives the base and the adapted engine.
  func make(_ model: FilePath, adapter: FilePath, dtype: String, tensor: Int, pipeline: Int) throws -> (base: FilePath, adapted: FilePath) {
    let base = try make(model, dtype: dtype, tensor: tensor, pipeline: pipeline)
    let adapted = directory("\(dtype)-\(tensor)-\(pipeline)-adapted")
    try Command.refit.succeed(
      "--engine_dir", base.string, "--checkpoint_dir", adapter.string, "--refit_engine_dir", adapted.string)
    return (base, adapted)
  }
}
