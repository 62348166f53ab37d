import SystemPackage
import TestSupport
import Testing

/// Engines for what this machine may not have.
@Suite struct TargetTests {
  let d = TemporaryDirectory()
  private let model = ["--model_dir", Project.at("Models/tiny").string]

  @Test func `an engine for a card is built, refitted and read anywhere`() throws {
    let build = model + ["--dtype", "bfloat16", "--output_dir"]
    let built = try Command.build.succeed(build + [d("cuda").string, "--target", "cuda"])
    let carries = try Command.inspect.succeed(["--engine_dir", d("cuda").string]).output.contains("compiled programs for sm_")
    #expect(carries != built.errors.contains("trtllm-build: the engine carries no compiled kernels: "), "\(built.errors)")
    try Command.build.succeed(build + [d("cpu").string, "--target", "cpu"])
    try Command.build.succeed(build + [d("standard").string])
    #expect(try Command.inspect.succeed(["--engine_dir", d("cuda").string]).output.contains("for cuda"))
    #expect(try Command.inspect.succeed(["--engine_dir", d("standard").string]).output.contains("for cpu"))
    try Command.refit.succeed(["--engine_dir", d("cuda").string, "--checkpoint_dir", Project.at("Models/tiny").string, "--refit_engine_dir", d("again").string])
    let file = "rank0.engine"
    #expect(contents(d("cuda").appending(file)) == contents(d("again").appending(file)))
    // Where there is no card, one sentence; where there is one, an answer.
    let run = try Command.run(["--engine_dir", d("cuda").string, "--input_text", "a", "--max_output_len", "2"])
    guard run.status != 0 else { return }
    let lines = run.errors.split(separator: "\n")
    #expect(run.status == 1 && run.output == "" && lines.count == 1 && run.errors.contains("cannot be run here: "), "\(run.errors)")
  }

  @Test func `a target that is not there is wrong usage, and what it cannot do is refused before anything is written`() throws {
    let wrong = try Command.build(model + ["--output_dir", d("e").string, "--target", "metal"])
    #expect(wrong.status == 2 && wrong.errors.contains("--target is metal; it must be cpu or cuda"), "\(wrong.errors)")
    let refused = try Command.build(model + ["--output_dir", d("e").string, "--target", "cuda", "--dtype", "float32"])
    #expect(
      refused.status == 2 && refused.errors.contains("--dtype is float32, and an engine for --target cuda takes bfloat16 weights only: give --dtype bfloat16"),
      "\(refused.errors)")
    try Command.convert.succeed(model + ["--output_dir", d("ck").string, "--dtype", "float16"])
    let checkpoint = try Command.build(["--checkpoint_dir", d("ck").string, "--output_dir", d("e").string, "--target", "cuda"])
    #expect(checkpoint.status == 2 && checkpoint.errors.contains("is a checkpoint of float16 weights") && checkpoint.errors.contains("convert the model again with --dtype bfloat16"), "\(checkpoint.errors)")
    for (arguments, words) in [
      (["--target", "cuda", "--cuda_arch", "90"], "those of 90a"), (["--target", "cuda", "--cuda_arch", "90a,,80"], "--cuda_arch has an empty name in its list"),
      (["--target", "cuda", "--cuda_arch", "80,none"], "--cuda_arch is none; it must be"), (["--cuda_arch", "90a"], "an engine for --target cpu carries no compiled kernels"),
      (["--cuda_arch", "none"], "leave it out"),
    ] {
      let said = try Command.build(model + ["--output_dir", d("e").string] + arguments)
      #expect(said.status == 2 && said.errors.contains(words), "\(said.errors)")
    }
    #expect(names(in: d("e")) == nil)
  }

  @Test func `without a type the one is chosen that the target has kernels for, and that is said`() throws {
    for (name, type) in [("auto", ["--dtype", "auto"]), ("none", []), ("given", ["--dtype", "bfloat16"])] {
      let built = try Command.build.succeed(model + type + ["--output_dir", d(name).string, "--target", "cuda", "--cuda_arch", "none"])
      #expect(!built.errors.contains("compiled kernels"), "none were wanted: \(built.errors)")
      #expect(built.errors.contains("--dtype auto takes bfloat16, not float16") == (name != "given"), "\(built.errors)")
      #expect(contents(d(name).appending("rank0.engine")) == contents(d("auto/rank0.engine")))
    }
  }

  @Test func `who runs or serves is told where the target is chosen`() throws {
    for said in [try Command.serve("/no", "--target", "cuda"), try Command.run("--model", "/no", "--input_text", "x", "--target=cuda")] {
      #expect(said.status == 2 && said.errors.contains("unknown option '--target'. An engine says itself what it runs on") && said.errors.contains("trtllm-build --target cuda"), "\(said.errors)")
    }
  }
}
