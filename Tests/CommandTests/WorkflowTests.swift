import SystemPackage
import TestSupport
import Testing

/// The documented workflow with the commands themselves, compared with `cmp`.
@Suite(.serialized) struct WorkflowTests {
  private func expectSame(_ one: FilePath, _ other: FilePath, _ comment: Comment) throws {
    let files = try #require(names(in: one)).filter { $0.hasPrefix("rank") }
    #expect(!files.isEmpty)
    for file in files {
      let compared = try Execution.run("/usr/bin/env", ["cmp", one.appending(file).string, other.appending(file).string])
      #expect(compared.status == 0, "\(comment): \(compared.output)\(compared.errors)")
    }
  }

  private func workflow(_ model: FilePath, _ adapter: FilePath, _ options: [String] = []) throws {
    let d = TemporaryDirectory()
    func path(_ name: String) -> String { d(name).string }
    let cache = path("timing.json")
    try Command.convert.succeed(["--model_dir", model.string, "--output_dir", path("A"), "--dtype", "bfloat16"] + options)
    try Command.build.succeed("--checkpoint_dir", path("A"), "--output_dir", path("full"), "--output_timing_cache", cache)
    // Prune, build from the skeleton, fill.
    try Command.prune.succeed("--checkpoint_dir", path("A"), "--out_dir", path("pruned"))
    try Command.build.succeed("--checkpoint_dir", path("pruned"), "--output_dir", path("skeleton"), "--input_timing_cache", cache)
    try Command.refit.succeed("--engine_dir", path("full"), "--strip", "--refit_engine_dir", path("stripped"))
    try expectSame(d("skeleton"), d("stripped"), "build(prune(A)) is the stripped build(A)")
    try Command.refit.succeed("--engine_dir", path("skeleton"), "--checkpoint_dir", path("A"), "--refit_engine_dir", path("filled"))
    try expectSame(d("filled"), d("full"), "refit(build(prune(A)), A) == build(A)")
    // There and back.
    try Command.refit.succeed("--engine_dir", path("full"), "--checkpoint_dir", adapter.string, "--refit_engine_dir", path("adapted"))
    try Command.refit.succeed("--engine_dir", path("adapted"), "--checkpoint_dir", path("A"), "--output_dir", path("back"))
    try expectSame(d("back"), d("full"), "LoRA and back")
    // The model file itself is a source, sharded on the way.
    try Command.refit.succeed("--engine_dir", path("stripped"), "--checkpoint_dir", model.string, "--refit_engine_dir", path("direct"))
    try expectSame(d("direct"), d("full"), "refit from the model file == refit from its checkpoint")
    // The adapted weights are what a build of an adapted checkpoint would hold.
    try Command.build.succeed("--checkpoint_dir", path("A"), "--output_dir", path("again"), "--input_timing_cache", cache)
    try expectSame(d("again"), d("full"), "the same input gives the same bytes")
    #expect(names(in: d.path)?.filter { $0.hasPrefix(".") } == [], "nothing is left behind")
  }

  @Test(arguments: [[], ["--tp_size", "2"], ["--pp_size", "2"]])
  func `the tiny model goes the whole way`(_ options: [String]) throws {
    try workflow(Project.at("Models/tiny"), Project.at("Models/tiny-lora"), options)
  }

  @Test(.enabled(if: Extras.model != nil, Extras.noModel))
  func `SmolLM2 goes the whole way`() throws {
    try workflow(try #require(Extras.model), Project.at("Models/salty-lora"))
  }
}
