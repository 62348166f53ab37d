import EngineFixtures
import Engines
import Foundation
import Synchronization
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// The interface as docs/refit.md shows it.
@Suite(.serialized) struct RefitInterfaceTests {
  /// The example of docs/refit.md, whose text is compared with this function's below.
  private func example(_ engines: FilePath, _ adapters: FilePath, _ show: (String) -> Void) async throws {
    func print(_ items: Any...) { show(items.map { "\($0)" }.joined(separator: " ")) }
    // example begins
    let engine = try EngineDirectory(engines.appending("v1"))
    let source = try RefitSource(SourceRequest(adapters.appending("support"), loraScale: 0.5), for: engine)

    var options = Refitter.Options()
    options.workers = 4
    options.verifies = true
    let refitter = Refitter(engine: engine, options: options)
    do {
      let prepared = try await refitter.prepare(source)  // reads no more than it must, writes nothing
      let run = refitter.start(prepared, from: source, to: engines.appending("v2"))
      for await progress in run.progress {
        print("\(progress.completed) of \(progress.total) bytes")
      }
      // run.cancel(), or cancelling this task, ends it at the next tile; the target is then as it was.
      let summary = try await run.summary
      print(summary.count(.refitted), "refitted,", summary.count(.unchanged), "unchanged")
    } catch let error as RefitError {
      for problem in error.problems { print(problem.heading, problem.detail, problem.remedy) }
    }

    let check = try await EngineVerifier(workers: 4).verify(EngineDirectory(engines.appending("v2")))
    precondition(check.differences.isEmpty)
    // example ends
  }

  private func lines(_ text: String, from start: String, to end: String) throws -> [String] {
    let all = text.split(separator: "\n", omittingEmptySubsequences: false)
    let first = try #require(all.firstIndex { $0.hasSuffix(start) })
    let last = try #require(all[first...].dropFirst().firstIndex { $0.hasSuffix(end) })
    return all[(first + 1)..<last].map { String($0.drop { $0 == " " }) }.filter { !$0.isEmpty }
  }

  @Test func `the example of the documentation runs, and is what stands there`() async throws {
    let model = SmallModel()
    let life = Lifecycle()
    try await life.build(try model.write(life.directory, "A", seed: 70), "v1")
    _ = try Adapter.write(model, life.directory, "support", seed: 71)
    var shown: [String] = []
    try await example(life.directory.path, life.directory.path) { shown.append($0) }
    #expect(shown.last == "12 refitted, 0 unchanged" && shown.count >= 2, "\(shown)")

    let root = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
    let documented = try lines(try #require(text(root.appending("docs/refit.md"))), from: "import WeightSources", to: "```")
    #expect(documented == (try lines(try #require(text(FilePath(#filePath))), from: "// example begins", to: "// example ends")))
  }

  private func prepared(_ life: Lifecycle, slowed: Bool) async throws -> (Refitter, Refitter.Prepared, RefitSource, Gate) {
    let model = SmallModel()
    let (a, b) = (try model.write(life.directory, "A", seed: 72), try model.write(life.directory, "B", seed: 73))
    try await life.build(a, "engine", scope: .all)
    let engine = try EngineDirectory(life.directory("engine"))
    var source = try RefitSource(b, for: engine)
    let gate = Gate(source.weights)
    if slowed { source.weights = gate }
    let refitter = Refitter(engine: engine)
    return (refitter, try await refitter.prepare(source), source, gate)
  }

  @Test func `progress only grows, and ends with everything, for any number of readers`() async throws {
    let life = Lifecycle()
    let (refitter, prepared, source, gate) = try await prepared(life, slowed: true)
    let run = refitter.start(prepared, from: source, to: life.directory("engine"))
    let readers = (0..<3).map { _ in
      Task {
        var seen: [Int] = []
        for await progress in run.progress {
          #expect(progress.total == prepared.byteCount)
          seen.append(progress.completed)
          gate.open()
        }
        return seen
      }
    }
    for reader in readers {
      let seen = await reader.value
      #expect(seen == seen.sorted() && Set(seen).count == seen.count && seen.last == prepared.byteCount && seen.count > 1, "\(seen)")
    }
    #expect(try await run.summary.count(.refitted) > 0)
  }

  @Test(arguments: [true, false])
  func `cancelled in the middle, the target is as it was`(_ byTask: Bool) async throws {
    let life = Lifecycle()
    let (refitter, prepared, source, gate) = try await prepared(life, slowed: true)
    let before = snapshot(life.directory.path)
    let run = refitter.start(prepared, from: source, to: life.directory("engine"))
    let waiting = Task { try await run.summary }
    while !gate.isReached { try await Task.sleep(for: .milliseconds(1)) }
    #expect(snapshot(life.directory.path) != before, "it is being written")
    if byTask { waiting.cancel() } else { run.cancel() }
    while !run.isCancelled { try await Task.sleep(for: .milliseconds(1)) }  // a task that has not begun yet passes it on when it does
    gate.open()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    var last = -1
    for await progress in run.progress { last = progress.completed }
    #expect(last < prepared.byteCount, "it did not end as if it were done")
    #expect(snapshot(life.directory.path) == before)
  }
}

/// Weights that stop being read in the middle until somebody opens.
private final class Gate: WeightSource {
  let base: any WeightSource
  private let reached = Atomic(false)
  private let opened = Atomic(false)
  init(_ base: any WeightSource) { self.base = base }
  var isReached: Bool { reached.load(ordering: .acquiring) }
  func open() { opened.store(true, ordering: .releasing) }

  var origin: String { base.origin }
  func names(rank: Int) -> [String] { base.names(rank: rank) }
  func description(of name: String, rank: Int) -> TensorDescription? { base.description(of: name, rank: rank) }
  func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    if name == "transformer.layers.1.mlp.proj.weight" {
      reached.store(true, ordering: .releasing)
      for _ in 0..<40_000 where !opened.load(ordering: .acquiring) { usleep(500) }
    }
    unsafe try base.read(name, rank: rank, rows: rows, into: destination)
  }
}
