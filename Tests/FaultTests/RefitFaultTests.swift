import Foundation
import SystemPackage
import TestSupport
import Testing

/// Refit with a fault at every call that changes a file: over an old engine, in place, and by several processes.
struct RefitFaultTests {
  let directory = TemporaryDirectory(inMemory: true)
  static let models = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent().appending("Models")
  var adapter: FilePath { Self.models.appending("tiny-lora") }
  var target: FilePath { directory("out/there") }

  func command(_ name: String) throws -> FilePath { try #require(Execution.command("trtllm-\(name)")) }
  func succeed(_ name: String, _ arguments: String...) throws {
    let execution = try Execution.run(try command(name), arguments)
    try #require(execution.status == 0, "\(name): \(execution.errors)")
  }
  /// Two ranks.
  func makeEngine() throws {
    makeDirectory(directory("out"))
    try succeed(
      "convert", "--model_dir", Self.models.appending("tiny").string, "--output_dir", directory("checkpoint").string, "--tp_size", "2",
      "--dtype", "bfloat16")
    try succeed("build", "--checkpoint_dir", directory("checkpoint").string, "--output_dir", directory("engine").string)
  }
  func makeOld() {
    remove(target)
    try? FileManager.default.copyItem(atPath: directory("engine").string, toPath: target.string)
    directory.write("out/there/README.md", "mine")
  }
  func arguments(engine: FilePath, _ more: [String] = []) -> [String] {
    ["--engine_dir", engine.string, "--checkpoint_dir", adapter.string, "--base_checkpoint_dir", directory("checkpoint").string,
     "--refit_engine_dir", target.string, "--workers", "1"] + more
  }
  /// A shell that refits rank after rank and dies of what a refit died of.
  func byRanks(engine: FilePath, old: Bool) throws -> Exhaustion {
    let line = (try command("refit")).string + " " + arguments(engine: engine).map { "'\($0)'" }.joined(separator: " ")
    let script = """
      run() { "$@"; s=$?; [ $s -gt 128 ] && kill -9 $$; [ $s = 0 ] || exit $s; }
      run \(line) --rank 1
      run \(line) --rank 0
      """
    let makeOld: (() -> Void)? = old ? { self.makeOld() } : nil
    return Exhaustion(
      executable: "/bin/sh", arguments: ["-c", script], sources: [directory("engine"), adapter, directory("checkpoint")], target: target,
      makeOld: makeOld, volatile: ["lineage.json"])
  }

  @Test func `refitting over an old engine`() throws {
    try makeEngine()
    try Exhaustion(
      executable: command("refit"), arguments: arguments(engine: directory("engine"), ["--verify"]),
      sources: [directory("engine"), adapter, directory("checkpoint")], target: target, makeOld: makeOld, volatile: ["lineage.json"]
    ).run("refit --verify, over an old engine", stride: 5)
  }
  @Test func `refitting by several processes`() throws {
    try makeEngine()
    try byRanks(engine: directory("engine"), old: false).run("refit by two processes", stride: 7)
  }
  @Test func `refitting in place by several processes`() throws {
    try makeEngine()
    try byRanks(engine: target, old: true).run("refit in place by two processes", stride: 7)
  }
}
