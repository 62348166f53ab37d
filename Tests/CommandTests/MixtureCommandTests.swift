import SystemPackage
import TestSupport
import Testing

/// Models with mixtures of experts, by the commands.
@Suite struct MixtureCommandTests {
  private let d = TemporaryDirectory()
  private let model = ["--model_dir", Project.at("Tests/EnginesTests/Expected/families/qwen3-moe").string, "--dtype", "bfloat16"]

  @Test func `experts are spread over ranks as asked, and inspect says what there is`() throws {
    try Command.convert.succeed(model + ["--output_dir", d("ck").string, "--tp_size", "4", "--moe_ep_size", "2"])
    try Command.build.succeed("--checkpoint_dir", d("ck").string, "--output_dir", d("e").string, "--max_seq_len", "64")
    let shown = try Command.inspect.succeed("--engine_dir", d("e").string, "--layer", "0").output
    #expect(shown.contains("6 experts of which a token goes to 3") && !shown.contains("MLP 48"), "\(shown)")
    // 3 experts of 2 · 16 rows, 16 wide.
    #expect(shown.contains("96 × 32") && shown.contains("96 × 16") && shown.contains("routing"), "\(shown)")
    try Command.convert.succeed(model + ["--output_dir", d("other").string, "--tp_size", "4", "--moe_tp_size", "2"])
    #expect(contents(d("other/rank3.safetensors")) == contents(d("ck/rank3.safetensors")))
  }

  @Test func `sizes that do not go together are wrong usage`() throws {
    for (flags, says) in [
      (["--tp_size", "2", "--moe_ep_size", "3"], "--moe_ep_size is 3; it must divide --tp_size, which is 2"),
      (["--moe_ep_size", "2"], "--moe_ep_size is 2; it must divide --tp_size, which is 1"),
      (["--tp_size", "4", "--moe_tp_size", "4", "--moe_ep_size", "2"], "--moe_tp_size 4 times --moe_ep_size 2 must be --tp_size, which is 4"),
      (["--moe_ep_size", "0"], "--moe_ep_size is 0"),
    ] {
      let said = try Command.convert(model + ["--output_dir", d("x").string] + flags)
      #expect(said.status == 2 && said.errors.contains(says), "\(said.errors)")
    }
    // What a checkpoint is cannot be asked to be otherwise.
    try Command.convert.succeed(model + ["--output_dir", d("ck").string, "--tp_size", "2", "--moe_ep_size", "2"])
    let said = try Command.build("--checkpoint_dir", d("ck").string, "--output_dir", d("e").string, "--moe_ep_size", "1")
    #expect(said.status == 2 && said.errors.contains("--moe_ep_size is 1, and it has 2"), "\(said.errors)")
  }

  @Test func `an engine for a card is refused by the operation's name`() throws {
    let said = try Command.build(model + ["--output_dir", d("e").string, "--target", "cuda"])
    #expect(said.status == 1 && said.errors.contains("the operation \"routing\"") && said.errors.contains("build for cpu"), "\(said.errors)")
    #expect(names(in: d("e")) == nil)
  }
}
