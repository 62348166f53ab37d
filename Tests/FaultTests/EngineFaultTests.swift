import Foundation
import SystemPackage
import TestSupport
import Testing

/// The promise of prune, kept by the commands that make checkpoints and engines. Every third call is tried: the calls
/// between are writes like those before and after them.
struct EngineFaultTests {
  let directory = TemporaryDirectory(inMemory: true)
  static let models = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent().appending("Models")
  var model: FilePath { Self.models.appending("tiny") }
  var target: FilePath { directory("out/there") }

  func command(_ name: String) throws -> FilePath { try #require(Execution.command("trtllm-\(name)")) }
  func succeed(_ name: String, _ arguments: String...) throws {
    let execution = try Execution.run(try command(name), arguments)
    try #require(execution.status == 0, "\(name): \(execution.errors)")
  }
  func copy(_ from: FilePath, to: FilePath) {
    makeDirectory(to.removingLastComponent())
    remove(to)
    try? FileManager.default.copyItem(atPath: from.string, toPath: to.string)
  }
  /// An old checkpoint or engine to be replaced, with a stranger's file that must stay.
  func makeOld() {
    directory.write("out/there/config.json", "{}")
    directory.write("out/there/rank5.engine", "old")
    directory.write("out/there/README.md", "mine")
  }
  func makeCheckpoint() throws {
    makeDirectory(directory("out"))
    try succeed(
      "convert", "--model_dir", model.string, "--output_dir", directory("checkpoint").string, "--tp_size", "2", "--dtype", "bfloat16")
  }
  /// Kernel choices are measured, so that two builds can differ; with a timing cache they do not.
  func makeEngine() throws {
    try makeCheckpoint()
    try succeed(
      "build", "--checkpoint_dir", directory("checkpoint").string, "--output_dir", directory("engine").string,
      "--output_timing_cache", directory("timing.json").string)
  }

  @Test func `converting leaves the old output or the result`() throws {
    makeDirectory(directory("out"))
    try Exhaustion(
      executable: command("convert"),
      arguments: ["--model_dir", model.string, "--output_dir", target.string, "--tp_size", "2", "--workers", "1"],
      sources: [model], target: target, makeOld: makeOld
    ).run("convert", stride: 3)
  }
  @Test func `building leaves the old output or the result`() throws {
    try makeEngine()
    try Exhaustion(
      executable: command("build"),
      arguments: [
        "--checkpoint_dir", directory("checkpoint").string, "--output_dir", target.string, "--workers", "1",
        "--input_timing_cache", directory("timing.json").string,
      ], sources: [directory("checkpoint"), directory("timing.json")], target: target, makeOld: makeOld,
      volatile: ["lineage.json"]
    ).run("build", stride: 3)
  }
  @Test func `refitting leaves the old output or the result`() throws {
    try makeEngine()
    try Exhaustion(
      executable: command("refit"),
      arguments: [
        "--engine_dir", directory("engine").string, "--checkpoint_dir", Self.models.appending("tiny-lora").string,
        "--refit_engine_dir", target.string, "--workers", "1",
      ], sources: [directory("engine"), Self.models.appending("tiny-lora")], target: target, makeOld: makeOld,
      volatile: ["lineage.json"]
    ).run("refit with an adapter", stride: 3)
  }
  @Test func `refitting in place leaves the old engine or the new one`() throws {
    try makeEngine()
    let adapter = Self.models.appending("tiny-lora")
    try Exhaustion(
      executable: command("refit"),
      arguments: [
        "--engine_dir", target.string, "--checkpoint_dir", adapter.string, "--refit_engine_dir", target.string, "--workers", "1",
        "--base_checkpoint_dir", directory("checkpoint").string,
      ], sources: [adapter, directory("checkpoint")], target: target,
      makeOld: { copy(directory("engine"), to: target) }, volatile: ["lineage.json"]
    ).run("refit in place", stride: 3)
  }
}
