import SystemPackage
import TestSupport
import Testing

/// Engines for what this machine may not have.
@Suite struct TargetTests {
  let d = TemporaryDirectory()
  private let model = ["--model_dir", Project.at("Models/tiny").string]

  @Test func `an engine for a card is built, refitted and read anywhere`() throws {
    let build = model + ["--dtype", "bfloat16", "--output_dir"]
    try Command.build.succeed(build + [d("cuda").string, "--target", "cuda"])
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
    #expect(refused.status == 1 && refused.errors.contains("float32"), "\(refused.errors)")
    #expect(names(in: d("e")) == nil)
  }
}
