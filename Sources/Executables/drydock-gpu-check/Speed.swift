import Execution
import SystemPackage

/// How fast a model of random weights runs, beside what the card's memory allows.
struct Speed {
  let name: String
  let shape: ModelShape
  let models: Models
  let report: Report

  init(_ name: String, _ shape: ModelShape, _ models: Models, _ report: Report) {
    (self.name, self.shape, self.models, self.report) = (name, shape, models, report)
  }

  func run() async throws {
    let clock = ContinuousClock()
    let start = clock.now
    let model = try models.write(shape, "model", seed: 1)
    let written = clock.now
    let path = try await models.build(model, "cuda", models.cuda)
    models.scratch.remove("model")
    let built = clock.now
    let engine = try models.open(path, models.cuda, sequences: 64, rows: 2048, cacheByteCount: 34 << 30)
    let opened = clock.now
    models.scratch.remove("cuda")
    let rate = engine.measureReadRate() ?? 0
    report.tell(
      "\(name): written in \(seconds(written - start)), built in \(seconds(built - written)), opened in \(seconds(opened - built)); "
        + "memory is read at \(Int(rate / 1e9)) GB/s")
    for (streams, context) in [(1, 128), (1, 8000), (1, 32000), (8, 1000), (32, 1000), (64, 1000), (8, 8000), (32, 8000)]
    where context + 64 <= engine.limits.maximumSequenceLength && streams * (context / 16 + 8) <= engine.limits.cacheBlockCount {
      decode(engine, streams, context, rate)
    }
    for length in [512, 2048] where length <= engine.limits.maximumSequenceLength { prefill(engine, length) }
  }

  /// What stands in the cache does not matter here: it is never computed.
  private func decode(_ engine: any OpenedEngine, _ streams: Int, _ context: Int, _ rate: Double) {
    let steps = Steps(engine)
    let tables = (0..<streams).map { _ in steps.blocks(context + 64) }
    func step(_ position: Int) throws -> Batch {
      let batch = Steps.batch(tables.map { .init(tokens: [7], first: position, blocks: $0, phase: .decode) }, wanted: .token)
      try engine.finish(try engine.submit(batch)) { _, _ in }
      return batch
    }
    do {
      var times: [Double] = [], bytes = 0
      let clock = ContinuousClock()
      for index in 0..<60 {
        var batch: Batch?
        let time = try clock.measure { batch = try step(context + index) }
        if index >= 10 { times.append(time / .seconds(1)) }
        bytes = batch.flatMap { engine.bytesRead($0) } ?? 0
      }
      times.sort()
      let median = times[times.count / 2]
      let share = Double(bytes) / median / max(1, rate) * 100
      report.tell(
        "\(name), \(streams) stream(s) at \(context): \((median * 1e5).rounded() / 100) ms, \(Int(Double(streams) / median)) tokens/s, "
          + "\((share * 10).rounded() / 10)% of the read limit")
    } catch { report.check(false, "\(name), \(streams) streams: \(error)") }
  }

  private func prefill(_ engine: any OpenedEngine, _ length: Int) {
    let steps = Steps(engine)
    let blocks = steps.blocks(length)
    do {
      var best = Double.infinity
      for _ in 0..<4 {
        let part = Steps.Part(tokens: (0..<length).map { Int32($0 % shape.vocabulary) }[...], first: 0, blocks: blocks)
        let time = try ContinuousClock().measure { _ = try steps.tokens([part]) }
        best = min(best, time / .seconds(1))
      }
      report.tell("\(name), a prompt of \(length): \((best * 1e4).rounded() / 10) ms, \(Int(Double(length) / best)) tokens/s")
    } catch { report.check(false, "\(name), a prompt of \(length): \(error)") }
  }

  private func seconds(_ time: Duration) -> String { "\((time / .seconds(1) * 10).rounded() / 10) s" }
}
