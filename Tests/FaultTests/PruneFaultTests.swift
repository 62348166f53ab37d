import SystemPackage
import TestSupport
import Testing

struct PruneFaultTests {
  let directory = TemporaryDirectory(inMemory: true)

  /// Two rank files, companions, and a name for the output with a stranger's file in it.
  func makeCheckpoint() -> FilePath {
    var generator = SeededGenerator(seed: 11)
    directory.write(
      "full/config.json",
      #"{"architecture": "LlamaForCausalLM", "dtype": "float16", "mapping": {"world_size": 2, "tp_size": 2}}"#)
    directory.write("full/tokenizer.json", "{}")
    for rank in 0..<2 {
      let header =
        #"{"transformer.layers.0.attention.qkv.weight":{"dtype":"F16","shape":[64,32],"data_offsets":[0,4096]},"#
        + #""transformer.layers.0.input_layernorm.weight":{"dtype":"F16","shape":[32],"data_offsets":[4096,4160]},"#
        + #""transformer.layers.0.mlp.fc.weight":{"dtype":"F16","shape":[8,8],"data_offsets":[4160,4288]},"#
        + #""lm_head.weight":{"dtype":"F16","shape":[16,32],"data_offsets":[4288,5312]}}"#
      let size = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> ($0 * 8)) }
      directory.write("full/rank\(rank).safetensors", size + Array(header.utf8) + generator.bytes(5312))
    }
    return directory("full")
  }
  func makeOld() { makeOld(isPruned: true) }
  func makeOld(isPruned: Bool) {
    directory.write("out/there/config.json", "{\"is_pruned\": \(isPruned)}")
    directory.write("out/there/rank0.safetensors", "old")
    directory.write("out/there/README.md", "mine")
  }
  func prune(_ source: FilePath, _ extra: [String] = [], old: Bool) throws -> Exhaustion {
    makeDirectory(directory("out"))
    let executable = try #require(Execution.command("trtllm-prune"))
    let target = directory("out/there")
    let makeOld: (() -> Void)? = old ? { self.makeOld() } : nil
    let arguments = ["--checkpoint_dir", source.string, "--out_dir", target.string, "--workers", "1"] + extra
    return Exhaustion(
      executable: executable, arguments: arguments, sources: [source], target: target, makeOld: makeOld)
  }

  @Test func `pruning into nothing leaves the result or nothing`() throws {
    try prune(makeCheckpoint(), old: false).run("prune, no old output")
  }
  @Test func `pruning over an old output leaves it or the result`() throws {
    try prune(makeCheckpoint(), old: true).run("prune, over an old output")
  }
  @Test func `a skeleton with digests leaves the old output or the result`() throws {
    try prune(makeCheckpoint(), ["--prune_all", "--digests"], old: true).run("prune --digests, over an old output")
  }
  @Test func `without a swap of names the next run still puts things right`() throws {
    try prune(makeCheckpoint(), old: true).run("prune, file system without exchange", withoutExchange: true)
  }
  @Test func `restoring leaves the old output or the result`() throws {
    let full = makeCheckpoint()
    let executable = try #require(Execution.command("trtllm-prune"))
    let made = try Execution.run(
      executable, ["--checkpoint_dir", full.string, "--out_dir", directory("skeleton").string, "--digests"])
    #expect(made.status == 0, "\(made.errors)")
    makeDirectory(directory("out"))
    try Exhaustion(
      executable: executable,
      arguments: [
        "--restore", directory("skeleton").string, "--checkpoint_dir", full.string, "--out_dir",
        directory("out/there").string, "--workers", "1",
      ], sources: [full, directory("skeleton")], target: directory("out/there"), makeOld: { makeOld(isPruned: false) }
    ).run("restore, over an old output")
  }
}
