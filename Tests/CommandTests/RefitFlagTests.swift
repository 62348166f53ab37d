import JSON
import SystemPackage
import TestSupport
import Testing

/// No flag of trtllm-refit is ignored: each works, or is refused with the reason.
@Suite(.serialized) struct RefitFlagTests {
  private struct Bench {
    let d = TemporaryDirectory(inMemory: true)
    var engine: [String] { ["--engine_dir", d("e").string, "--refit_engine_dir", d("out").string] }
    var checkpoint: [String] { engine + ["--checkpoint_dir", d("ck").string] }
    var adapter: [String] { engine + ["--checkpoint_dir", Project.at("Models/tiny-lora").string] }

    init(ranks: Int = 1) throws {
      try Command.convert.succeed(
        "--model_dir", Project.at("Models/tiny").string, "--output_dir", d("ck").string, "--dtype", "bfloat16", "--tp_size", "\(ranks)")
      try Command.build.succeed("--checkpoint_dir", d("ck").string, "--output_dir", d("e").string)
    }
    /// - Parameter status: 2; 1 where it is the path that does not do.
    func refused(
      _ arguments: [String], says words: String..., status: Int32 = 2, environment: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let before = snapshot(d.path)
      let execution = try Command.refit(arguments, environment: environment)
      #expect(execution.status == status && !execution.wasKilled, "\(arguments): \(execution.errors)", sourceLocation: sourceLocation)
      for word in words { #expect(execution.errors.contains(word), "'\(word)' in: \(execution.errors)", sourceLocation: sourceLocation) }
      #expect(execution.output == "" && snapshot(d.path) == before, sourceLocation: sourceLocation)
    }
  }

  @Test func `flags of adapters need an adapter`() throws {
    let bench = try Bench()
    try bench.refused(bench.checkpoint + ["--lora_scale", "2"], says: "--lora_scale", "TensorRT-LLM checkpoint")
    try bench.refused(bench.checkpoint + ["--lora_scale", "1"], says: "--lora_scale")
    try bench.refused(bench.checkpoint + ["--base_checkpoint_dir", bench.d("ck").string], says: "--base_checkpoint_dir", "no adapter")
    let lora = ["--lora_dir", Project.at("Models/tiny-lora").string]
    try bench.refused(bench.checkpoint + lora + ["--base_checkpoint_dir", bench.d("ck").string], says: "--base_checkpoint_dir")
    try bench.refused(bench.adapter + ["--lora_scale", "nan"], says: "--lora_scale")
    // Scale 0 changes nothing, scale 1 is the default, and the two ways of naming an adapter are the same.
    try Command.refit.succeed(bench.adapter + ["--lora_scale", "0"])
    #expect(contents(bench.d("out/rank0.engine")) == contents(bench.d("e/rank0.engine")))
    try Command.refit.succeed(bench.adapter)
    let once = contents(bench.d("out/rank0.engine"))
    #expect(once != contents(bench.d("e/rank0.engine")))
    let gguf = Project.at("Tests/WeightSourcesTests/Expected/adapters/gguf/tiny-lora.f32.gguf").string
    for other in [
      bench.checkpoint + lora + ["--lora_scale", "1"], bench.engine + lora, bench.engine + lora + ["--base_checkpoint_dir", bench.d("ck").string],
      bench.engine + ["--lora_dir", gguf], bench.checkpoint + ["--lora_dir", gguf, "--lora_scale", "1"],
      bench.engine + ["--checkpoint_dir", gguf, "--base_checkpoint_dir", bench.d("ck").string, "--lora_scale", "1"],
    ] {
      remove(bench.d("out"))
      try Command.refit.succeed(other)
      #expect(contents(bench.d("out/rank0.engine")) == once, "\(other)")
    }
  }

  @Test func `a report replaces no input, no engine and nothing else that is not such a page`() throws {
    let bench = try Bench()
    try Command.refit.succeed(bench.adapter)
    let lora = bench.d("lora")
    #expect(try Execution.run("/usr/bin/env", ["cp", "-r", Project.at("Models/tiny-lora").string, lora.string]).status == 0)
    bench.d.write("notes.txt", "mine")
    makeSymbolicLink(bench.d("link.html"), to: bench.d("notes.txt"))
    let refit = bench.engine + ["--checkpoint_dir", lora.string, "--report"]
    for (place, word) in [
      ("e/rank0.engine", "lies in"), ("e/new.html", "lies in"), ("out/lineage.json", "lies in"), ("out/page.html", "lies in"),
      ("lora/adapter_model.safetensors", "lies in"), ("notes.txt", "no page of this kind"), ("link.html", "no page of this kind"),
      ("e/../lora/x.html", "lies in"),
    ] {
      try bench.refused(refit + [bench.d(place).string], says: "--report", word, status: 1)
    }
    try bench.refused(refit + ["/dev/null"], says: "no regular file", status: 1)
    for _ in 0..<2 { try Command.refit.succeed(refit + [bench.d("page.html").string]) }
  }

  @Test func `a negative number is a value, and a flag that is given again is told`() throws {
    let bench = try Bench()
    try Command.refit.succeed(bench.adapter + ["--lora_scale", "-1"])
    try bench.refused(bench.adapter + ["--workers", "-1"], says: "--workers is -1")
    try bench.refused(bench.adapter + ["--lora-scale", "1"], says: "--lora-scale", "--lora_scale")
    let twice = try Command.refit.succeed(bench.adapter + ["--workers", "1", "--workers", "2"])
    #expect(twice.errors.contains("--workers is given more than once"))
  }

  @Test func `an engine refitted in place stays as private as it was`() throws {
    let bench = try Bench()
    for (name, mode) in [("e/rank0.engine", "600"), ("e/config.json", "640"), ("e", "700")] {
      #expect(try Execution.run("/usr/bin/env", ["chmod", mode, bench.d(name).string]).status == 0)
    }
    try Command.refit.succeed(
      "--engine_dir", bench.d("e").string, "--refit_engine_dir", bench.d("e").string, "--checkpoint_dir", Project.at("Models/tiny-lora").string)
    let modes = try Execution.run("/usr/bin/env", ["stat", "-c", "%a", bench.d("e").string, bench.d("e/rank0.engine").string, bench.d("e/config.json").string])
    #expect(modes.output == "700\n600\n640\n")
  }

  @Test func `whatever goes wrong, --json says it on standard output`() throws {
    let bench = try Bench()
    for arguments in [
      bench.engine + ["--checkpoint_dir", bench.d("nothing").string, "--json"], ["--verify_engine", bench.d("nothing").string, "--json"],
      ["--engine_dir", bench.d("e").string, "--refit_engine_dir", bench.d("ck").string + "/config.json", "--checkpoint_dir", bench.d("ck").string, "--json"],
    ] {
      let execution = try Command.refit(arguments)
      #expect(execution.status == 1, "\(execution.errors)")
      let json = try JSONValue(parsing: execution.output)
      #expect(json["status"]?.string == "failed" && json["error"]?.string?.isEmpty == false, "\(execution.output)")
    }
  }

  @Test func `what makes no sense together is refused, with the flags named`() throws {
    let bench = try Bench()
    let page = ["--report", bench.d("page.html").string]
    try bench.refused(bench.checkpoint + ["--dry_run"] + page, says: "--dry_run", "--report")
    try bench.refused(bench.checkpoint + ["--dry_run", "--verify"], says: "--dry_run", "--verify")
    for flags in [
      ["--checkpoint_dir", bench.d("ck").string], ["--lora_dir", "x"], ["--lora_scale", "1"], ["--base_checkpoint_dir", "x"],
      ["--ignore_frozen"], ["--strict"], ["--rank", "0"], page,
    ] { try bench.refused(bench.engine + ["--strip"] + flags, says: "--strip", flags[0]) }
    for flags in [bench.engine, page, ["--verify"], ["--strict"], ["--dry_run"], ["--rank", "0"], ["--lora_scale", "1"], ["--ignore_frozen"], ["--strip"]] {
      try bench.refused(["--verify_engine", bench.d("e").string] + flags, says: "--verify_engine", flags[0])
    }
    try bench.refused(bench.checkpoint + ["--workers", "0"], says: "--workers is 0")
    try bench.refused(bench.checkpoint + ["--rank", "1"], says: "--rank is 1", "0 to 0")
    try bench.refused(bench.checkpoint + ["--rank=-1"], says: "--rank is -1")
    try bench.refused(bench.checkpoint + ["--rank", "0"] + page, says: "--rank", "--report")
    try bench.refused(bench.checkpoint + ["--report", bench.d("no/such/page.html").string], says: "no/such", status: 1)
    try bench.refused(bench.checkpoint + ["--report", bench.d("e").string], says: "directory", status: 1)
    try bench.refused(bench.engine, says: "--checkpoint_dir")
  }

  @Test func `stripping verifies and reports when asked`() throws {
    let bench = try Bench()
    let stripped = try Command.refit.succeed(bench.engine + ["--strip", "--verify", "--json", "--workers", "1"])
    #expect(stripped.errors.contains("verified"))
    let json = try JSONValue(parsing: stripped.output)
    #expect(json["status"] == "stripped" && json["output"] == .string(bench.d("out").string))
    remove(bench.d("out"))
    let planned = try Command.refit.succeed(bench.engine + ["--strip", "--dry_run", "--json"])
    #expect(try JSONValue(parsing: planned.output)["status"] == "planned" && names(in: bench.d("out")) == nil)
  }

  @Test func `of several processes one does what is not shared out`() throws {
    let bench = try Bench(ranks: 2)
    func run(_ process: Int, _ arguments: [String]) throws -> Execution {
      try Command.refit(arguments, environment: ["OMPI_COMM_WORLD_RANK": "\(process)", "OMPI_COMM_WORLD_SIZE": "2"])
    }
    for arguments in [bench.engine + ["--strip"], bench.checkpoint + ["--dry_run"], ["--verify_engine", bench.d("e").string]] {
      let (first, second) = (try run(0, arguments), try run(1, arguments))
      #expect(first.status == 0 && !first.errors.contains("nothing to do"), "\(arguments): \(first.errors)")
      #expect(second.status == 0 && second.errors.contains("nothing to do"), "\(arguments): \(second.errors)")
    }
    try bench.refused(
      bench.checkpoint + ["--report", bench.d("page.html").string], says: "--report", environment: ["PMI_RANK": "0", "PMI_SIZE": "2"])
  }

  @Test func `an adapter for another model is warned of, and refused by --strict`() throws {
    let bench = try Bench()
    #expect(try Execution.run("/usr/bin/env", ["cp", "-r", Project.at("Models/tiny-lora").string, bench.d("lora").string]).status == 0)
    let config = try #require(text(bench.d("lora/adapter_config.json")))
    #expect(try Command.refit.succeed(bench.adapter + ["--strict"]).errors.contains("warning") == false)
    bench.d.write("lora/adapter_config.json", config.replacing("drydock/tiny", with: "them/other"))
    let arguments = bench.engine + ["--checkpoint_dir", bench.d("lora").string]
    #expect(try Command.refit.succeed(arguments).errors.contains("warning: the adapter \(bench.d("lora")) was trained on 'them/other', and is put on 'tiny'"))
    remove(bench.d("out"))
    let strict = try Command.refit(arguments + ["--strict"])
    #expect(strict.status == 1 && strict.errors.contains("them/other") && strict.errors.contains("--strict"), "\(strict.errors)")
    #expect(names(in: bench.d("out")) == nil)
  }

  @Test func `rank files of two engines are told by every command`() throws {
    let bench = try Bench(ranks: 2)
    try Command.refit.succeed(bench.adapter)
    bench.d.write("e/rank1.engine", try #require(contents(bench.d("out/rank1.engine"))))
    let refit = try Command.refit(["--engine_dir", bench.d("e").string, "--checkpoint_dir", bench.d("ck").string, "--refit_engine_dir", bench.d("new").string])
    for execution in [
      refit, try Command.run("--engine_dir", bench.d("e").string, "--input_text", "x"), try Command.serve(bench.d("e").string, "--port", "0"),
      try Command.refit("--verify_engine", bench.d("e").string),
    ] {
      #expect(execution.status == 1 && execution.errors.contains("rank1.engine is of another engine"), "\(execution.errors)")
    }
  }

  @Test func `an option that makes no difference with a source is a warning`() throws {
    let bench = try Bench()
    let idle = ["--ignore_frozen", "--keep_tokenizer"]
    let adapter = try Command.refit.succeed(bench.adapter + idle + ["--strict"])
    for flag in idle { #expect(adapter.errors.contains("warning: \(flag) has no effect: "), "\(adapter.errors)") }
    // A whole model has an embedding table, and files or the lack of them.
    remove(bench.d("out"))
    let model = try Command.refit.succeed(bench.checkpoint + idle)
    #expect(!model.errors.contains("no effect"), "\(model.errors)")
  }

  @Test func `a run that writes some ranks says that others are still to be written`() throws {
    let bench = try Bench(ranks: 2)
    let first = try Command.refit.succeed(bench.checkpoint + ["--rank", "1"])
    #expect(first.errors.contains("the output appears when rank(s) 0 are written, too") && names(in: bench.d("out")) == nil, "\(first.errors)")
  }

  @Test func `lineage names sources from the root on, wherever the command ran`() throws {
    let bench = try Bench()
    let here = Project.at("Models")
    let lora = try Execution.run(try Command.refit.executable, bench.engine + ["--lora_dir", "tiny-lora", "--base_checkpoint_dir", "./tiny/../tiny"], directory: here)
    #expect(lora.status == 0, "\(lora.errors)")
    let lineage = try JSONValue(parsing: try #require(text(bench.d("out/lineage.json"))))
    #expect(lineage["source"]?["path"]?.string == here.appending("tiny-lora").string)
    #expect(lineage["adapters"]?.array?.first?["path"]?.string == here.appending("tiny-lora").string)
    #expect(lineage["base"]?["path"]?.string == here.appending("tiny").string)
    let built = try Execution.run(try Command.build.executable, ["--model_dir", "tiny", "--output_dir", bench.d("b").string], directory: here)
    #expect(built.status == 0, "\(built.errors)")
    let origin = try JSONValue(parsing: try #require(text(bench.d("b/lineage.json"))))
    #expect(origin["source"]?["path"]?.string == here.appending("tiny").string)
    #expect(origin["files"]?["tokenizer.json"]?["source"]?.string == here.appending("tiny").string)
  }

  @Test func `of a model of another structure the settings are shown, and what follows is counted`() throws {
    let bench = try Bench()
    let wide = bench.d("wide")
    for (file, bytes) in snapshot(bench.d("ck")) { bench.d.write("wide/\(file)", bytes) }
    let config = try #require(text(wide.appending("config.json")))
    bench.d.write("wide/config.json", config.replacing(#/"intermediate_size": \d+/#, with: #""intermediate_size": 32"#))
    let refused = try Command.refit(bench.engine + ["--checkpoint_dir", wide.string])
    #expect(refused.status == 1 && refused.errors.contains("intermediate_size  engine 168  checkpoint 32"), "\(refused.errors)")
    #expect(refused.errors.split(separator: "\n").count <= 6, "\(refused.errors)")
  }

  @Test func `names in a report are whole, and counted one by one`() throws {
    let bench = try Bench()
    let refused = try Command.refit(bench.engine + ["--lora_dir", Project.at("Models/salty-lora").string])
    #expect(refused.status == 1 && refused.errors.contains("364 of 420 tensors"), "\(refused.errors)")
    #expect(!refused.errors.replacing(", … and", with: "").contains("…"), "\(refused.errors)")
  }
}
