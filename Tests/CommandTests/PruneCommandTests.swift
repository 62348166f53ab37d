import JSON
import SystemPackage
import TestSupport
import Testing

/// `trtllm-prune` as its users meet it.
struct PruneCommandTests {
  let directory = TemporaryDirectory(inMemory: true)

  func makeCheckpoint(_ name: String = "full") {
    var generator = SeededGenerator(seed: 3)
    let header =
      #"{"transformer.layers.0.attention.qkv.weight":{"dtype":"F16","shape":[64,32],"data_offsets":[0,4096]},"#
      + #""lm_head.weight":{"dtype":"F16","shape":[16,32],"data_offsets":[4096,5120]}}"#
    let size = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> ($0 * 8)) }
    directory.write("\(name)/rank0.safetensors", size + Array(header.utf8) + generator.bytes(5120))
    directory.write("\(name)/config.json", #"{"architecture": "LlamaForCausalLM"}"#)
  }

  @Test func `without an output the result stands beside the checkpoint`() throws {
    makeCheckpoint()
    for spelling in ["full", "full/", "./full"] {
      try Command.prune.succeed("--checkpoint_dir", directory(spelling).string)
      #expect(text(directory("full.pruned/config.json")) == #"{"architecture": "LlamaForCausalLM", "is_pruned": true}"#)
      remove(directory("full.pruned"))
    }
    #expect(names(in: directory.path) == ["full"])
  }
  @Test func `that a checkpoint is pruned already is said`() throws {
    makeCheckpoint()
    #expect(try !Command.prune.succeed("--checkpoint_dir", directory("full").string).errors.contains("pruned already"))
    let again = try Command.prune.succeed("--checkpoint_dir", directory("full.pruned").string, "--out_dir", directory("twice").string)
    #expect(again.errors.contains("the checkpoint is pruned already (config.json says is_pruned, 1 of 2 tensors are empty): only what is left"), "\(again.errors)")
    try Command.prune.succeed("--checkpoint_dir", directory("full").string, "--out_dir", directory("skeleton").string, "--skeleton")
    let skeleton = try Command.prune.succeed("--checkpoint_dir", directory("skeleton").string, "--out_dir", directory("more").string, "--prune_all")
    #expect(skeleton.errors.contains("and it is a skeleton"), "\(skeleton.errors)")
    // One whose configuration does not say so.
    directory.write("twice/config.json", #"{"architecture": "LlamaForCausalLM"}"#)
    let unmarked = try Command.prune.succeed("--checkpoint_dir", directory("twice").string, "--dry_run")
    #expect(unmarked.errors.contains("config.json does not say so"), "\(unmarked.errors)")
  }
  @Test func `flags may be shortened while they are clear, and joined to their value`() throws {
    makeCheckpoint()
    try Command.prune.succeed("--check=\(directory("full"))", "--out=\(directory("out"))")
    #expect(names(in: directory("out")) == ["config.json", "rank0.safetensors"])
    let unclear = try Command.prune("--checkpoint_dir", directory("full").string, "--prun")
    #expect(unclear.status == 2 && unclear.errors.contains("--prune_all"))
  }
  @Test func `wrong usage is told apart from failure, and neither writes anything`() throws {
    makeCheckpoint()
    let before = snapshot(directory.path)
    let full = directory("full").string
    for (arguments, words) in [
      ([], ["--checkpoint_dir"]), (["--checkpoint_dir"], ["--checkpoint_dir"]),
      (["--checkpoint_dir", full, "--prune_al1"], ["--prune_all"]),
      (["--checkpoint_dir", full, "--workers", "0"], ["--workers"]),
      (["--checkpoint_dir", full, "--verify", full, "--restore", full], ["--verify", "--restore"]),
      (["--checkpoint_dir", full, "--restore", full], ["--out_dir"]),
      (["--checkpoint_dir", full, "--verify", full, "--prune_all"], ["--verify"]), (["--checkpoint_dir", full, "stray"], ["stray"]),
    ] {
      let execution = try Command.prune(arguments)
      #expect(execution.status == 2, "\(arguments): \(execution.errors)")
      for word in words { #expect(execution.errors.contains(word), "\(arguments): \(execution.errors)") }
    }
    for (arguments, words) in [
      (["--checkpoint_dir", directory("absent").string], ["absent", "No such file"]),
      (["--checkpoint_dir", directory("full/config.json").string], ["one file of a TensorRT-LLM checkpoint", "Name the directory"]),
      (["--checkpoint_dir", directory.path.string], ["full (TensorRT-LLM checkpoint)", "Name it"]),
      (["--checkpoint_dir", full, "--out_dir", full], ["same directory"]),
      (["--checkpoint_dir", full, "--out_dir", full + "/x"], ["inside"]),
      (["--checkpoint_dir", full, "--verify", full], ["not a skeleton"]),
    ] {
      let execution = try Command.prune(arguments)
      #expect(execution.status == 1, "\(arguments): \(execution.errors)")
      #expect(execution.errors.hasPrefix("trtllm-prune: error: "))
      for word in words { #expect(execution.errors.contains(word), "\(arguments): \(execution.errors)") }
    }
    #expect(snapshot(directory.path) == before)
  }
  @Test func `a dry run says what would go and writes nothing`() throws {
    makeCheckpoint()
    let before = snapshot(directory.path)
    let told = try Command.prune.succeed("--checkpoint_dir", directory("full").string, "--dry_run")
    #expect(told.output.contains("transformer.layers.*.attention.qkv.weight"))
    let report = try JSONValue(parsing: try Command.prune.succeed("--checkpoint_dir", directory("full").string, "--dry_run", "--json").output)
    #expect(report["dry_run"] == true && report["emptied"] == 1)
    #expect(snapshot(directory.path) == before)
    let done = try JSONValue(parsing: try Command.prune.succeed("--checkpoint_dir", directory("full").string, "--json").output)
    #expect(done["bytes_after"] == report["bytes_after"] && done["ranks"] == report["ranks"])
    let tensor = done["ranks"]?.array?.first?["emptied"]?.array?.first
    #expect(tensor?["name"] == "transformer.layers.0.attention.qkv.weight" && tensor?["bytes"] == 4096 && tensor?["shape"] == [64, 32])
  }
  @Test func `patterns reach the names`() throws {
    makeCheckpoint()
    let report = try JSONValue(
      parsing: try Command.prune.succeed(
        "--checkpoint_dir", directory("full").string, "--dry_run", "--json", "--prune", "lm_*", "--keep", "*.qkv.*"
      ).output)
    #expect(report["ranks"]?.array?.first?["emptied"]?.array?.map { $0["name"]?.string } == ["lm_head.weight"])
  }
  @Test func `a skeleton proves and restores through the command, and says what differs`() throws {
    makeCheckpoint()
    makeCheckpoint("other")
    var bytes = try #require(contents(directory("other/rank0.safetensors")))
    bytes[bytes.count - 2000] ^= 4
    directory.write("other/rank0.safetensors", bytes)
    let skeleton = directory("skeleton").string
    try Command.prune.succeed("--checkpoint_dir", directory("full").string, "--out_dir", skeleton, "--prune_all", "--digests")
    try Command.prune.succeed("--verify", skeleton, "--checkpoint_dir", directory("full").string)
    let differs = try Command.prune("--verify", skeleton, "--checkpoint_dir", directory("other").string)
    #expect(differs.status == 1 && differs.output == "rank0.safetensors: transformer.layers.0.attention.qkv.weight: other values\n")
    let json = try JSONValue(
      parsing: try Command.prune("--verify", skeleton, "--checkpoint_dir", directory("other").string, "--json").output)
    #expect(json["matches"] == false && json["differences"]?.array?.count == 1)
    try Command.prune.succeed("--restore", skeleton, "--checkpoint_dir", directory("full").string, "--out_dir", directory("again").string)
    #expect(snapshot(directory("again")) == snapshot(directory("full")))
    let refused = try Command.prune(
      "--restore", skeleton, "--checkpoint_dir", directory("other").string, "--out_dir", directory("no").string)
    #expect(refused.status == 1 && names(in: directory("no")) == nil)
  }
  @Test(.enabled(if: Extras.python != nil, Extras.noPython))
  func `Python's safetensors reads every family and quantisation as the independent list says`() throws {
    let executable = try Command.prune.executable
    let execution = try Execution.run(
      try #require(Extras.python),
      [Project.at("Scripts/reference/prune_families.py").string, "--command", executable.string])
    #expect(execution.status == 0, "\(execution.errors)")
    #expect(execution.output.contains("238 checkpoints"), "\(execution.output)")
  }
}
