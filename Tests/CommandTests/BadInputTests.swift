import JSON
import SystemPackage
import TestSupport
import Testing

/// One clear message, the right exit code, nothing left behind.
@Suite(.serialized) struct BadInputTests {
  /// A converted and built tiny model to spoil.
  private struct Bench {
    let d = TemporaryDirectory(inMemory: true)
    init() throws {
      try Command.convert.succeed("--model_dir", Project.at("Models/tiny").string, "--output_dir", d("ck").string, "--dtype", "float32")
      try Command.build.succeed("--checkpoint_dir", d("ck").string, "--output_dir", d("e").string)
    }
    var out: FilePath { d("out") }

    /// Expects the command to fail with these words and to leave the directory as it was.
    func expect(
      _ command: Command, _ arguments: [String], status: Int32 = 1, says words: [String],
      sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let before = snapshot(d.path)
      let execution = try command(arguments)
      #expect(execution.status == status && !execution.wasKilled, "\(execution.errors)", sourceLocation: sourceLocation)
      for word in words { #expect(execution.errors.contains(word), "'\(word)' in: \(execution.errors)", sourceLocation: sourceLocation) }
      #expect(execution.output == "", "standard output is for results", sourceLocation: sourceLocation)
      #expect(snapshot(d.path) == before, "nothing is left behind", sourceLocation: sourceLocation)
    }
    func copy(_ from: String, _ to: String) throws {
      #expect(try Execution.run("/usr/bin/env", ["cp", "-r", d(from).string, d(to).string]).status == 0)
    }
  }

  @Test func `a missing or damaged rank file is named`() throws {
    let bench = try Bench()
    try bench.copy("ck", "missing")
    remove(bench.d("missing/rank0.safetensors"))
    try bench.expect(.build, ["--checkpoint_dir", bench.d("missing").string, "--output_dir", bench.out.string], says: ["rank0.safetensors"])
    try bench.copy("ck", "short")
    let bytes = try #require(contents(bench.d("ck/rank0.safetensors")))
    bench.d.write("short/rank0.safetensors", Array(bytes.dropLast(100)))
    for command in [Command.build, .prune] {
      let flag = command == .build ? "--output_dir" : "--out_dir"
      try bench.expect(command, ["--checkpoint_dir", bench.d("short").string, flag, bench.out.string], says: ["rank0.safetensors", "again"])
    }
    try bench.expect(
      .refit, ["--engine_dir", bench.d("e").string, "--checkpoint_dir", bench.d("short").string, "--refit_engine_dir", bench.out.string],
      says: ["rank0.safetensors"])
    let engine = try #require(contents(bench.d("e/rank0.engine")))
    try bench.copy("e", "cut")
    for length in [0, 7, 100, 5000, engine.count - 1] {
      bench.d.write("cut/rank0.engine", Array(engine.prefix(length)))
      try bench.expect(.run, ["--engine_dir", bench.d("cut").string, "--input_text", "x"], says: ["cut/rank0.engine"])
    }
    remove(bench.d("cut/rank0.engine"))
    try bench.expect(.run, ["--engine_dir", bench.d("cut").string, "--input_text", "x"], says: ["rank0.engine is missing"])
  }

  @Test(arguments: ["--temperature=-1", "--temperature=nan", "--top_p=1.5", "--top_k=-1", "--max_output_len=0", "--logprobs=-1"])
  func `a value that nothing can be drawn with is wrong usage`(_ flag: String) throws {
    let bench = try Bench()
    let name = String(flag.dropFirst(2).prefix { $0 != "=" })
    try bench.expect(.run, ["--engine_dir", bench.d("e").string, "--input_text", "x", flag], status: 2, says: [name])
  }

  @Test func `a key-value cache that holds no whole sequence names the flags that mend it`() throws {
    let bench = try Bench()
    let prompt = ["--engine_dir", bench.d("e").string, "--max_output_len", "2", "--input_text", String(repeating: "The capital of France is Paris. ", count: 4)]
    try bench.expect(.run, prompt + ["--kv_cache_size", "1kB"], says: ["Raise --kv_cache_size", "512 tokens"])
    try bench.expect(.run, prompt + ["--kv_cache_size", "100kB"], says: ["Lower --max_seq_len to 96, or raise --kv_cache_size"])
    try bench.expect(.run, prompt + ["--kv_cache_size", "100kB", "--max_seq_len", "16"], says: ["at most 15"])
    try bench.expect(.run, prompt + ["--kv_cache_size", "0"], status: 2, says: ["--kv_cache_size is 0"])
    try Command.run.succeed(prompt + ["--kv_cache_size", "64MiB"])
    try Command.run.succeed(prompt + ["--kv_cache_size", "100kB", "--max_seq_len", "96"])
  }

  @Test func `control characters in names are spelt out, not sent to the terminal`() throws {
    let bench = try Bench()
    let arguments = ["--engine_dir", bench.d("e").string, "--checkpoint_dir", bench.d("no\u{1B}[31m\u{7}such\u{9B}1m").string, "--refit_engine_dir", bench.out.string]
    try bench.expect(.refit, arguments, says: ["no\\u{1b}[31m\\u{7}such\\u{9b}1m"])
  }

  @Test func `a line's end in a name makes no second message`() throws {
    let bench = try Bench()
    let name = bench.d("no\ntrtllm-refit: refitted").string
    for arguments in [["--engine_dir", bench.d("e").string, "--checkpoint_dir", name], ["--engine_dir", name, "--checkpoint_dir", bench.d("ck").string]] {
      try bench.expect(.refit, arguments + ["--refit_engine_dir", bench.out.string], says: ["no\\ntrtllm-refit: refitted"])
    }
  }

  @Test func `a cache of choices may go into the engine that is being built`() throws {
    let bench = try Bench()
    let made = bench.d("made")
    try Command.build.succeed("--checkpoint_dir", bench.d("ck").string, "--output_dir", made.string, "--output_timing_cache", made.appending("timing.json").string)
    #expect(text(made.appending("timing.json")) != nil)
    try bench.expect(
      .build, ["--checkpoint_dir", bench.d("ck").string, "--output_dir", bench.out.string, "--output_timing_cache", bench.d("nowhere/t.json").string],
      says: ["--output_timing_cache", "nowhere"])
  }

  @Test func `wrong shapes and architectures are told in a table`() throws {
    let bench = try Bench()
    try Command.convert.succeed(
      "--model_dir", Project.at("Models/tiny").string, "--output_dir", bench.d("tp2").string, "--dtype", "float32", "--tp_size", "2")
    try bench.expect(
      .refit, ["--engine_dir", bench.d("e").string, "--checkpoint_dir", bench.d("tp2").string, "--refit_engine_dir", bench.out.string],
      says: ["mapping.tp_size", "shape mismatch", "attention.qkv.weight", "Nothing was written"])
    try bench.copy("ck", "other")
    let config = try #require(text(bench.d("ck/config.json")))
    bench.d.write("other/config.json", config.replacing("LlamaForCausalLM", with: "MistralForCausalLM"))
    // Of the same plan, and yet of another class: a warning.
    try bench.expect(
      .refit,
      ["--engine_dir", bench.d("e").string, "--checkpoint_dir", bench.d("other").string, "--refit_engine_dir", bench.out.string, "--strict"],
      says: ["LlamaForCausalLM", "MistralForCausalLM"])
    bench.d.write("other/config.json", config.replacing("LlamaForCausalLM", with: "BloomForCausalLM"))
    try bench.expect(
      .build, ["--checkpoint_dir", bench.d("other").string, "--output_dir", bench.out.string], says: ["BloomForCausalLM", "supported"])
    bench.d.write("other/config.json", "{")
    try bench.expect(.build, ["--checkpoint_dir", bench.d("other").string, "--output_dir", bench.out.string], says: ["config.json"])
  }

  @Test func `a stripped engine is not run, and the way out is named`() throws {
    let bench = try Bench()
    try Command.refit.succeed("--engine_dir", bench.d("e").string, "--strip", "--refit_engine_dir", bench.d("stripped").string)
    try bench.expect(.run, ["--engine_dir", bench.d("stripped").string, "--input_text", "x"], says: ["stripped", "trtllm-refit"])
    try bench.expect(.serve, [bench.d("stripped").string, "--port", "0"], says: ["stripped", "trtllm-refit"])
    try bench.expect(
      .refit,
      ["--engine_dir", bench.d("stripped").string, "--checkpoint_dir", Project.at("Models/tiny-lora").string, "--refit_engine_dir", bench.out.string],
      says: ["base_checkpoint_dir"])
  }

  @Test func `an adapter is not stacked on another`() throws {
    let bench = try Bench()
    let lora = Project.at("Models/tiny-lora").string
    try Command.refit.succeed("--engine_dir", bench.d("e").string, "--checkpoint_dir", lora, "--refit_engine_dir", bench.d("once").string)
    try bench.expect(
      .refit, ["--engine_dir", bench.d("once").string, "--checkpoint_dir", lora, "--refit_engine_dir", bench.out.string],
      says: ["already carry an adapter", "--base_checkpoint_dir"])
  }

  @Test func `outputs that would touch an input are refused`() throws {
    let bench = try Bench()
    for out in [bench.d("ck"), bench.d("ck/inside"), bench.d.path] {
      try bench.expect(.build, ["--checkpoint_dir", bench.d("ck").string, "--output_dir", out.string], says: [out.string])
      try bench.expect(.prune, ["--checkpoint_dir", bench.d("ck").string, "--out_dir", out.string], says: [out.string])
    }
    bench.d.write("mine/notes/keep.txt", "mine")
    try bench.expect(.build, ["--checkpoint_dir", bench.d("ck").string, "--output_dir", bench.d("mine").string], says: ["mine"])
  }

  @Test func `no spelling of an output reaches an input`() throws {
    let bench = try Bench()
    let (ck, e) = (bench.d("ck").string, bench.d("e").string)
    let lora = Project.at("Models/tiny-lora").string
    #expect(try Execution.run("/usr/bin/env", ["cp", "-r", Project.at("Models/tiny").string, bench.d("hf").string]).status == 0)
    // Only the engine itself may be replaced by a refit.
    try bench.expect(.refit, ["--engine_dir", e, "--checkpoint_dir", ck, "--refit_engine_dir", ck], says: ["same directory"])
    try bench.expect(
      .refit, ["--engine_dir", e, "--checkpoint_dir", lora, "--base_checkpoint_dir", ck, "--refit_engine_dir", ck], says: ["same directory"])
    try bench.expect(.refit, ["--engine_dir", e, "--checkpoint_dir", bench.d("hf").string, "--refit_engine_dir", bench.d("hf").string], says: ["hf"])
    // A missing directory would be made first, and then the path would lead back.
    for way in ["nosuch/../ck", "no/such/../../ck", "nosuch/../ck/sub"] {
      try bench.expect(.build, ["--checkpoint_dir", ck, "--output_dir", bench.d(way).string], says: ["'..'"])
      try bench.expect(.prune, ["--checkpoint_dir", ck, "--out_dir", bench.d(way).string], says: ["'..'"])
    }
    // Somebody's model holds a config.json too.
    try bench.expect(.convert, ["--model_dir", Project.at("Models/tiny").string, "--output_dir", bench.d("hf").string], says: ["model.safetensors"])
    // A timing cache replaces only a timing cache.
    for file in ["ck/rank0.safetensors", "ck/config.json"] {
      try bench.expect(.build, ["--checkpoint_dir", ck, "--output_dir", bench.out.string, "--output_timing_cache", bench.d(file).string], says: [file])
    }
    try bench.expect(
      .build, ["--checkpoint_dir", ck, "--output_dir", bench.out.string, "--output_timing_cache", bench.d("no/cache").string], says: ["no"])
  }

  /// Sizes are compared with the tensors before anything is allocated or measured by them.
  @Test(arguments: ["head_size", "num_attention_heads", "num_hidden_layers", "hidden_size", "vocab_size", "intermediate_size"])
  func `a configuration that speaks of more than there is is refused at once`(_ field: String) throws {
    let bench = try Bench()
    let parsed = try JSONValue(parsing: contents(bench.d("ck/config.json")) ?? [])
    var config = try #require(parsed.object)
    config[field] = 10_000_000
    bench.d.write("ck/config.json", JSONValue.object(config).serialized())
    try bench.expect(.build, ["--checkpoint_dir", bench.d("ck").string, "--output_dir", bench.out.string], says: ["ck"])
    #expect(try Execution.run("/usr/bin/env", ["cp", "-r", Project.at("Models/tiny").string, bench.d("hf").string]).status == 0)
    let parsedModel = try JSONValue(parsing: contents(bench.d("hf/config.json")) ?? [])
    var model = try #require(parsedModel.object)
    model[field == "head_size" ? "head_dim" : field] = 10_000_000
    bench.d.write("hf/config.json", JSONValue.object(model).serialized())
    try bench.expect(.convert, ["--model_dir", bench.d("hf").string, "--output_dir", bench.out.string], says: ["hf"])
  }

  @Test func `kernels that a timing cache makes up are measured instead`() throws {
    let bench = try Bench()
    let cache = bench.d("cache.json").string
    try Command.build.succeed("--checkpoint_dir", bench.d("ck").string, "--output_dir", bench.d("one").string, "--output_timing_cache", cache)
    let spoiled = try #require(text(bench.d("cache.json"))).replacing("panels=", with: "panels=99")
    bench.d.write("spoiled.json", spoiled)
    try Command.build.succeed("--checkpoint_dir", bench.d("ck").string, "--output_dir", bench.d("two").string, "--input_timing_cache", bench.d("spoiled.json").string)
    let engine = String(decoding: (contents(bench.d("two/rank0.engine")) ?? []).prefix(200_000), as: UTF8.self)
    #expect(engine.contains("panels=") && !engine.contains("panels=99"))
  }

  @Test func `wrong usage is exit code 2, with the nearest flag`() throws {
    let bench = try Bench()
    try bench.expect(.build, ["--checkpoint_dri", "x"], status: 2, says: ["checkpoint_dir"])
    try bench.expect(.build, ["--checkpoint_dir", "x", "--max_batch_size", "many"], status: 2, says: ["max_batch_size", "many"])
    try bench.expect(.build, ["--checkpoint_dir", "x", "--max_batch_size", "0"], status: 2, says: ["max_batch_size"])
    try bench.expect(.refit, ["--engine_dir", "x"], status: 2, says: ["refit_engine_dir"])
    try bench.expect(.run, ["--engine_dir", "x"], status: 2, says: ["input_text"])
    try bench.expect(.convert, ["--model_dir", "x", "--dtype", "int3"], status: 2, says: ["int3", "bfloat16"])
    try bench.expect(.build, ["--max", "3", "--checkpoint_dir", "x"], status: 2, says: ["--max_batch_size"])
  }

  @Test func `flags of a server that would have no effect are refused`() throws {
    let bench = try Bench()
    let engine = bench.d("e").string
    try bench.expect(.serve, [engine, "--served_model_name", ""], status: 2, says: ["--served_model_name is empty"])
    try bench.expect(.serve, [engine, "--cors_origin", "app.example"], status: 2, says: ["--cors_origin: 'app.example' is no origin"])
    try bench.expect(.serve, [engine, "--weights_root", bench.d.path.string], status: 2, says: ["--weights_root needs --admin_key"])
    try bench.expect(.serve, [engine, "--weights_workers", "2"], status: 2, says: ["--weights_workers needs --admin_key"])
    try bench.expect(.serve, [engine, "--weights_memory", "2GB"], status: 2, says: ["--weights_memory needs --admin_key"])
  }

  @Test(arguments: [Command.convert, .build, .prune, .refit, .run, .serve])
  func `help is a page on standard output`(_ command: Command) throws {
    for flag in ["--help", "-h"] {
      let help = try command(flag)
      #expect(help.status == 0 && help.errors == "", "\(help.errors)")
      for word in ["OVERVIEW:", "USAGE: trtllm-\(command.rawValue)", "--log_level", "OPTIONS:"] where !(command == .prune && word == "--log_level") {
        #expect(help.output.contains(word), "\(word) in: \(help.output)")
      }
    }
  }

  @Test func `upstream flags without a meaning are accepted, with a line each`() throws {
    let bench = try Bench()
    let built = try Command.build(
      "--check", bench.d("ck").string, "--output_dir=\(bench.out)", "--gemm_plugin", "bfloat16", "--remove_input_padding=enable",
      "--monitor_memory", "--dry_run")
    #expect(built.status == 0, "\(built.errors)")
    for flag in ["gemm_plugin", "remove_input_padding", "monitor_memory"] {
      #expect(built.errors.contains("--\(flag) is ignored"), "\(built.errors)")
    }
    #expect(contents(bench.out) == nil && names(in: bench.out) == nil, "a dry run writes nothing")
  }

  @Test func `things that are not there are named`() throws {
    let bench = try Bench()
    let nowhere = bench.d("nowhere").string
    try bench.expect(.convert, ["--model_dir", nowhere, "--output_dir", bench.out.string], says: [nowhere])
    try bench.expect(.build, ["--checkpoint_dir", nowhere, "--output_dir", bench.out.string], says: [nowhere])
    try bench.expect(.prune, ["--checkpoint_dir", nowhere, "--out_dir", bench.out.string], says: [nowhere])
    try bench.expect(.refit, ["--engine_dir", nowhere, "--checkpoint_dir", bench.d("ck").string, "--refit_engine_dir", bench.out.string], says: [nowhere])
    try bench.expect(.run, ["--engine_dir", nowhere, "--input_text", "x"], says: [nowhere])
    try bench.expect(.run, ["--engine_dir", bench.d("e").string, "--tokenizer_dir", bench.d("ck").string + "/..", "--input_text", "x"], says: ["tokenizer.json"])
    try bench.copy("e", "strange")
    bench.d.write("strange/tokenizer.json", #"{"model": {"type": "Unigram", "vocab": []}, "decoder": {"type": "ByteLevel"}, "pre_tokenizer": {"type": "ByteLevel"}}"#)
    try bench.expect(.run, ["--engine_dir", bench.d("strange").string, "--input_text", "x"], says: ["Unigram"])
    remove(bench.d("strange/tokenizer.json"))
    try bench.expect(.run, ["--engine_dir", bench.d("strange").string, "--input_text", "x"], says: ["tokenizer.json"])
    bench.d.write("plan/rank0.engine", Array("ftrt".utf8) + [UInt8](repeating: 0, count: 20) + [10, 3, 0, 1])
    bench.d.write("plan/config.json", try #require(text(bench.d("e/config.json"))))
    try bench.expect(.run, ["--engine_dir", bench.d("plan").string, "--input_text", "x"], says: ["TensorRT plan", "10.3.0"])
  }

  @Test func `a prompt longer than the engine can hold is refused`() throws {
    let bench = try Bench()
    let long = String(repeating: "ship ", count: 5000)
    try bench.expect(.run, ["--engine_dir", bench.d("e").string, "--input_text", long], says: ["tokens"])
  }
}
