import Foundation
import SystemPackage
import TestSupport
import Testing

/// A model of one layer, its adapter, a checkpoint for two ranks, and an engine, in a directory of their own.
struct EngineBench {
  let directory = TemporaryDirectory(inMemory: true)
  let model: FilePath
  let adapter: FilePath
  var checkpoint: FilePath { directory("checkpoint") }
  var engine: FilePath { directory("engine") }
  var timingCache: FilePath { directory("timing.json") }
  /// In a directory with nothing else in it.
  var target: FilePath { directory("out/there") }

  /// - Parameter tensorParallel: Ranks of the checkpoint.
  init(tensorParallel: Int = 2) throws {
    model = try OneLayer.writeModel(directory, "tiny")
    adapter = try OneLayer.writeAdapter(directory, "tiny-lora")
    makeDirectory(directory("out"))
    try succeed(
      "convert", "--model_dir", model.string, "--output_dir", checkpoint.string, "--tp_size", "\(tensorParallel)",
      "--dtype", "bfloat16")
  }
  /// Kernel choices are measured, so that two builds can differ; with a timing cache they do not.
  func build() throws {
    try succeed(
      "build", "--checkpoint_dir", checkpoint.string, "--output_dir", engine.string, "--output_timing_cache", timingCache.string)
  }

  func command(_ name: String) throws -> FilePath { try #require(Execution.command("trtllm-\(name)")) }
  @discardableResult
  func succeed(_ name: String, _ arguments: String...) throws -> Execution { try succeed(name, arguments) }
  @discardableResult
  func succeed(_ name: String, _ arguments: [String]) throws -> Execution {
    let execution = try Execution.run(try command(name), arguments)
    try #require(execution.status == 0, "\(name): \(execution.errors)")
    return execution
  }
  func copy(_ from: FilePath, to: FilePath) {
    makeDirectory(to.removingLastComponent())
    remove(to)
    try? FileManager.default.copyItem(atPath: from.string, toPath: to.string)
  }

  /// Something old to be replaced, with a stranger's file that must stay.
  func makeOldBuild() { makeOld(".engine") }
  func makeOldCheckpoint() { makeOld(".safetensors") }
  private func makeOld(_ ending: String) {
    directory.write("out/there/config.json", "{}")
    directory.write("out/there/rank5\(ending)", ending == ".engine" ? #"old, "format":"drydock-engine""# : "old")
    directory.write("out/there/README.md", "mine")
  }
  /// The engine itself where the result goes, with a stranger's file that must stay.
  func makeOldEngine() {
    copy(engine, to: target)
    directory.write("out/there/README.md", "mine")
  }

  /// A refit whose result does not depend on the weights that the engine holds.
  func refit(_ engine: FilePath, _ more: [String] = [], to output: FilePath? = nil, adapted: Bool = true) -> [String] {
    let source =
      adapted
      ? ["--checkpoint_dir", adapter.string, "--base_checkpoint_dir", checkpoint.string] : ["--checkpoint_dir", checkpoint.string]
    return ["--engine_dir", engine.string] + source + ["--refit_engine_dir", (output ?? target).string, "--workers", "1"] + more
  }

  /// Whether two engines hold the same rank files.
  func areSame(_ one: FilePath, _ other: FilePath) -> Bool {
    let (left, right) = (rankFiles(one), rankFiles(other))
    return !left.isEmpty && left == right
  }
  private func rankFiles(_ engine: FilePath) -> [String: [UInt8]] {
    snapshot(engine).filter { $0.key.hasPrefix("rank") }
  }
  /// What is in the way of the next run, or should not be there any more.
  var leftovers: [String] { names(in: directory("out"))?.filter { $0.contains("drydock") } ?? [] }
}
