import SystemPackage
import TestSupport
import Testing

/// What a command says of a command line that is wrong by itself: all of it, with the nearest names, and exit code 2.
@Suite(.serialized) struct UsageTests {
  private func refused(
    _ command: Command, _ arguments: [String], says words: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let said = try command(arguments)
    #expect(said.status == 2 && said.output == "", "\(arguments): \(said.status) \(said.errors)", sourceLocation: sourceLocation)
    for word in words { #expect(said.errors.contains(word), "'\(word)' in: \(said.errors)", sourceLocation: sourceLocation) }
    let lines = said.errors.split(separator: "\n")
    #expect(lines.count <= 6 && lines.allSatisfy { $0.count <= 300 }, "\(said.errors)", sourceLocation: sourceLocation)
  }

  @Test func `two names of one option that say two things are told, and one thing twice is fine`() throws {
    let pairs: [(Command, String, String, [String])] = [
      (.build, "--checkpoint_dir", "--model_dir", []), (.build, "--max_seq_len", "--max_decoder_seq_len", ["--checkpoint_dir", "/no"]),
      (.refit, "--refit_engine_dir", "--output_dir", ["--engine_dir", "/no", "--strip"]),
      (.run, "--engine_dir", "--model", ["--input_text", "x"]), (.run, "--tokenizer_dir", "--tokenizer", ["--model", "/no", "--input_text", "x"]),
      (.serve, "--tokenizer_dir", "--tokenizer", ["/no"]),
    ]
    for (command, one, other, rest) in pairs {
      try refused(command, rest + [one, "11", other, "12"], says: "\(one) and \(other) are two names of one option", "'11'", "'12'")
      try refused(command, rest + ["\(other)=11", "\(one)=12"], says: "\(other) and \(one) are two names of one option")
      let same = try command(rest + [one, "11", other, "11"])
      #expect(same.status == 1 && !same.errors.contains("two names"), "\(command): \(same.errors)")
    }
  }

  @Test func `a mistyped flag is told with the nearest, and what was meant is not missing besides`() throws {
    for (command, mistyped, nearest) in [
      (Command.build, "--chekpoint_dir", "--checkpoint_dir"), (.convert, "--modle_dir", "--model_dir"), (.prune, "--checkpiont_dir", "--checkpoint_dir"),
      (.refit, "--engin_dri", "--engine_dir"), (.run, "--input_txt", "--input_text"), (.run, "--engine-dir", "--engine_dir"), (.run, "-engine_dir", "--engine_dir"),
      (.serve, "--prot", "--port"),
    ] {
      try refused(command, [mistyped, "X"], says: "unknown option '\(mistyped)'. Did you mean '\(nearest)'?")
      let missing = try command([mistyped, "X"]).errors.split(separator: "\n").first { $0.contains("missing:") } ?? ""
      #expect(!missing.contains(nearest), "\(missing)")
    }
    try refused(.build, ["--chekpoint_dir", "X", "--ouptut_dir=Y", "--fnord"], says: "'--checkpoint_dir'", "'--output_dir'", "unknown option '--fnord'.")
    try refused(.serve, ["/no", "--generation-config", "auto"], says: "--generation_config")
  }

  @Test func `what is missing is told together, with a short usage and where there is more`() throws {
    for (command, missing) in [
      (Command.convert, ["--model_dir <path>"]), (.build, ["--checkpoint_dir <path>"]), (.prune, ["--checkpoint_dir <dir>"]),
      (.refit, ["--engine_dir <dir>", "--checkpoint_dir <path> (or --lora_dir, or --strip)", "--refit_engine_dir <dir>"]),
      (.run, ["--engine_dir <path>", "--input_text <text>"]), (.serve, ["<model>"]),
    ] {
      try refused(command, [], says: "missing: " + missing.joined(separator: ", "), "usage: trtllm-\(command.rawValue)", "--help' for all options")
    }
    try refused(.run, ["--input_text", "x"], says: "missing: --engine_dir <path>")
    try refused(.refit, ["--engine_dir", "/no", "--strip"], says: "missing: --refit_engine_dir <dir>")
    try refused(.prune, ["--checkpoint_dir", "/no", "--restore", "/no"], says: "missing: --out_dir <dir>")
  }

  @Test func `a value that is not there, or empty where a path must be, is told`() throws {
    try refused(.build, ["--checkpoint_dir"], says: "--checkpoint_dir needs a value")
    try refused(.build, ["--checkpoint_dir", "--dry_run"], says: "--checkpoint_dir is followed by the flag --dry_run")
    try refused(.run, ["--model", "/no", "--input_text", "-hello"], says: "--input_text needs a value", "--input_text=VALUE")
    #expect(try Command.run("--model", "/no", "--input_text=-hello").status == 1)
    for (command, arguments) in [
      (Command.build, ["--checkpoint_dir", ""]), (.refit, ["--engine_dir", "/no", "--strip", "--refit_engine_dir="]), (.serve, ["/no", "--weights_root", ""]),
      (.run, ["--model", "/no", "--input_text", "x", "--engine_cache", ""]),
    ] { try refused(command, arguments, says: "is empty") }
  }

  @Test func `every command says its version, whatever else is missing`() throws {
    for command in [Command.convert, .build, .prune, .refit, .run, .serve] {
      let said = try command("--version")
      #expect(said.status == 0 && said.output.hasPrefix("drydock ") && said.errors.isEmpty, "\(said)")
    }
  }

  @Test func `numbers that cannot do are refused before anything is opened`() throws {
    for value in ["1", "0", "-5"] {
      try refused(.run, ["--model", "/no", "--input_text", "x", "--max_seq_len", value], says: "--max_seq_len is \(value); it must be at least 2")
      try refused(.serve, ["/no", "--max_seq_len", value], says: "--max_seq_len is \(value); it must be at least 2")
    }
    try refused(.build, ["--checkpoint_dir", "/no", "--max_seq_len", "1"], says: "--max_seq_len is 1; it must be at least 2: a prompt and an answer")
    try refused(.refit, ["--engine_dir", "/no", "--lora_dir", "/no", "--refit_engine_dir", "/no", "--lora_scale", "1e39"], says: "--lora_scale is 1e+39")
  }

  @Test func `a flag that means nothing without another, or beside it, is refused with both named`() throws {
    let run = ["--model", "/no", "--input_text", "x"]
    try refused(.run, run + ["--logprobs", "2"], says: "--logprobs needs --json")
    try refused(.run, run + ["--streaming", "--json"], says: "--streaming", "--json")
    try refused(.run, run + ["--engine_cache", "none", "--engine_cache_size", "1GB"], says: "--engine_cache_size", "--engine_cache")
    try refused(.prune, ["--checkpoint_dir", "/no", "--prune_all", "--prune", "*"], says: "--prune has no effect beside --prune_all")
    try refused(.prune, ["--checkpoint_dir", "/no", "--verify", "/no", "--dry_run"], says: "--verify", "--dry_run")
    try refused(.serve, ["/no", "--tls_key", "k"], says: "--tls_certificate and --tls_key")
    try refused(.serve, ["/no", "--admin_key_file", "k"], says: "--admin_key needs --weights_root")
  }

  @Test func `values of another form, values out of range and contradictions are told together`() throws {
    let run = ["--model", "/no", "--input_text", "x"]
    try refused(
      .run, run + ["--threads", "abc", "--top_k", "1.5", "--temperature", "q", "--kv_cache_size", "foo", "--fnord"],
      says: "--threads is 'abc'; give a whole number", "--top_k is '1.5'", "--temperature is 'q'; give a number",
      "--kv_cache_size is 'foo'; give a size such as 4GB", "unknown option '--fnord'")
    try refused(
      .run, run + ["--threads", "0", "--logprobs", "3", "--kv_cache_size", "0", "--top_k", "-1", "--engine_cache_size", "0"],
      says: "--threads is 0", "--logprobs needs --json", "--kv_cache_size is 0", "top_k", "--engine_cache_size is 0")
    try refused(
      .serve, ["/no", "--port", "70000", "--kv_cache_free_mem_fraction", "2", "--dtype", "int8", "--tls_key", "k"],
      says: "--port is 70000", "--kv_cache_free_mem_fraction is 2", "--dtype is \"int8\"", "--tls_certificate and --tls_key")
    try refused(.build, ["--model_dir", "/no", "--workers", "0", "--tp_size", "0", "--dtype", "x"], says: "--workers is 0", "--tp_size is 0", "--dtype is \"x\"")
    try refused(.convert, ["--model_dir", "/no", "--workers", "0", "--tp_size", "0"], says: "--workers is 0", "--tp_size is 0")
    try refused(.prune, ["--checkpoint_dir", "/no", "--verify", "/no", "--dry_run", "--workers", "0"], says: "--workers is 0", "--dry_run")
    try refused(
      .refit, ["--engine_dir", "/no", "--refit_engine_dir", "/no", "--strip", "--lora_scale", "2", "--workers", "0"],
      says: "--workers is 0", "--strip takes no new weights, so no --lora_scale")
    try refused(.run, run + ["--log_level", "foo"], says: "--log_level is 'foo'; give", "warning, info, verbose")
    #expect(try Command.run(run + ["--seed", "18446744073709551615", "--log_level", "internal_error", "--generation_config", "auto"]).status == 1)
  }

  @Test func `numbers of two names are compared as numbers, and paths as they are written`() throws {
    let run = ["--model", "/no", "--input_text", "x"]
    #expect(try Command.run(run + ["--kv_cache_free_mem_fraction", "0.5", "--free_gpu_memory_fraction", "0.50"]).status == 1)
    try refused(.run, run + ["--kv_cache_free_mem_fraction", "0.5", "--free_gpu_memory_fraction", "0.51"], says: "two names of one option")
    try refused(.run, run + ["--tokenizer", "1", "--tokenizer_dir", "1.0"], says: "two names of one option")
  }

  @Test func `what follows an unknown option may have been a word of its own`() throws {
    #expect(!(try Command.serve("--no_such", "./m").errors.contains("missing")))
    try refused(.serve, ["--no_such", "./m"], says: "unknown option '--no_such'")
    try refused(.run, ["--no_such", "x"], says: "unknown option '--no_such'", "missing: --engine_dir <path>")
  }

  @Test(arguments: [Command.convert, .build, .prune, .refit, .run, .serve])
  func `the parser's own flags need nothing beside them, and a beginning of help is help`(_ command: Command) throws {
    let (help, name) = (try command.succeed("--help").output, "trtllm-\(command.rawValue)")
    #expect(try command.succeed("--hel").output == help)
    #expect(try command.succeed("--help-hidden").output.contains("USAGE: \(name)"))
    #expect(try command.succeed("--experimental-dump-help").output.contains("\"commandName\" : \"\(name)\""))
    for arguments in [["--generate-completion-script", "bash"], ["--generate-completion-script=bash"]] {
      #expect(try command.succeed(arguments).output.contains("complete -o filenames -F"), "\(arguments)")
    }
  }

  @Test func `flags of drawing tokens say so where no token is drawn, and those of the cache where none is used`() throws {
    let d = TemporaryDirectory(inMemory: true)
    try Command.build.succeed("--model_dir", Project.at("Models/tiny").string, "--output_dir", d("e").string, "--dtype", "float32")
    let run = ["--engine_dir", d("e").string, "--input_text", "The", "--max_output_len", "3"]
    let idle = try Command.run.succeed(run + ["--top_k", "5", "--seed", "1"])
    #expect(idle.errors.contains("--top_k, --seed have no effect at temperature 0"), "\(idle.errors)")
    #expect(!(try Command.run.succeed(run + ["--top_k", "5", "--temperature", "1"]).errors.contains("no effect")))
    let cached = try Command.run.succeed(run + ["--engine_cache", d("c").string, "--engine_cache_size", "1GB"])
    #expect(cached.errors.contains("--engine_cache, --engine_cache_size have no effect"), "\(cached.errors)")
    #expect(!(try Command.run.succeed(run + ["--engine_cache", "none"]).errors.contains("no effect")))
  }

  @Test func `a model's own sampling settings count in trtllm-run where that is asked for, and flags before them`() throws {
    let d = TemporaryDirectory(inMemory: true)
    try Command.build.succeed("--model_dir", Project.at("Models/tiny").string, "--output_dir", d("e").string, "--dtype", "float32")
    d.write("e/generation_config.json", #"{"eos_token_id": 2, "do_sample": true, "temperature": 1.5, "top_k": 40, "repetition_penalty": 1.3}"#)
    let run = ["--engine_dir", d("e").string, "--input_text", "The capital", "--max_output_len", "12"]
    let plain = try Command.run.succeed(run)
    let published = try Command.run.succeed(run + ["--generation_config", "auto", "--seed", "3"])
    #expect(published.errors.contains("defaults of generation_config.json: temperature 1.5, top_k 40, repetition_penalty 1.3"), "\(published.errors)")
    #expect(published.output != plain.output && !plain.errors.contains("generation_config"), "\(plain.errors)")
    #expect(try Command.run.succeed(run + ["--generation_config", "none"]).output == plain.output)
    let byHand = try Command.run.succeed(run + ["--generation_config", "auto", "--temperature", "0"])
    d.write("e/generation_config.json", #"{"eos_token_id": 2, "do_sample": false, "temperature": 1.5, "repetition_penalty": 1.3}"#)
    #expect(try Command.run.succeed(run + ["--generation_config", "auto"]).output == byHand.output)
    d.write("e/generation_config.json", #"{"eos_token_id": 2, "do_sample": true, "temperature": -2}"#)
    let wrong = try Command.run(run + ["--generation_config", "auto"])
    #expect(wrong.status == 1 && wrong.errors.contains("--generation_config: generation_config.json: 'temperature' should be"), "\(wrong.errors)")
    #expect(try Command.run.succeed(run).output == plain.output)
  }

  @Test func `to use the model's own sampling settings is advised where they are not used`() throws {
    let d = TemporaryDirectory(inMemory: true)
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
      d.write("m/" + name, try #require(contents(Project.at("Models/tiny/" + name))))
    }
    d.write("m/generation_config.json", #"{"eos_token_id": 2, "do_sample": true, "temperature": 1.5, "suppress_tokens": [3]}"#)
    let run = ["--model", d("m").string, "--engine_cache", d("c").string, "--input_text", "The", "--max_output_len", "2"]
    for _ in 1...2 {  // when the engine is built, and when it is found
      let asked = try Command.run.succeed(run + ["--generation_config", "auto"]).errors
      #expect(!asked.contains("count only with") && asked.contains("suppress_tokens has no effect here"), "\(asked)")
      #expect(try Command.run.succeed(run).errors.contains("temperature 1.5 count only with '--generation_config auto'"))
    }
  }

  @Test(arguments: [Command.convert, .build, .prune, .refit, .run, .serve])
  func `a page of help begins with what it does, and its lines can be copied`(_ command: Command) throws {
    let page = try Command.run("--help").output
    let options = try #require(page.firstRange(of: "\nOPTIONS:")), group = try #require(page.firstRange(of: "\nIF THE PATH IS A MODEL"))
    #expect(options.lowerBound < group.lowerBound)
    let lines = try command("--help").output.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.allSatisfy { $0.count <= 110 }, "\(lines.filter { $0.count > 110 })")
    let examples = lines.drop { !$0.hasPrefix("Example") }.dropFirst().prefix { $0.hasPrefix("  ") }
    #expect(!examples.isEmpty)
    // A line that was broken to fit would begin in the first column, and what follows would be no command.
    for (line, next) in zip(examples, examples.dropFirst()) where line.hasSuffix("\\") { #expect(next.hasPrefix("    "), "\(next)") }
  }

  @Test func `help says of TLS what this program can do`() throws {
    #if TLS
      let isThere = true
    #else
      let isThere = false
    #endif
    let help = try Command.serve.succeed("--help").output
    for flag in ["--tls_certificate", "--tls_key"] { #expect(help.contains(flag) == isThere, "\(flag)") }
  }

  @Test func `one program of all commands gives the page of each`() throws {
    let drydock = try #require(Execution.command("drydock"))
    for command in [Command.convert, .build, .prune, .refit, .run, .serve, .inspect] {
      let page = try command.succeed("--help").output
      for name in [command.rawValue, "trtllm-\(command.rawValue)"] {
        let said = try Execution.run(drydock, ["help", name])
        #expect(said.status == 0 && said.output == page, "\(name): \(said.output.prefix(200)) \(said.errors)")
      }
    }
    #expect(try Execution.run(drydock, ["help"]).output.contains("usage: drydock COMMAND"))
    let unknown = try Execution.run(drydock, ["help", "fnord"])
    #expect(unknown.status == 2 && unknown.errors.contains("unknown command 'fnord'. Known: convert, build"), "\(unknown.errors)")
  }

  @Test(arguments: ["install", "test", "quickstart", "fetch-model"])
  func `a script that is called through a link finds its package`(_ name: String) throws {
    let directory = TemporaryDirectory()
    makeSymbolicLink(directory(name), to: Project.at("Scripts/\(name)"))
    let (own, linked) = (try Execution.run(Project.at("Scripts/\(name)"), ["--help"]), try Execution.run(directory(name), ["--help"]))
    #expect(own.status == linked.status && own.output == linked.output && own.errors == linked.errors, "\(linked.errors)")
  }

  @Test func `a word that belongs to no option is named, with the option that it may be meant for`() throws {
    try refused(.inspect, ["engines/v1"], says: "'engines/v1' belongs to no option. Give it with --engine_dir.")
    try refused(.run, ["--engine_dir", "/no", "hi"], says: "'hi' belongs to no option. Give it with --input_text.", "missing: --input_text <text>")
    try refused(.run, ["/no", "hi"], says: "'/no', 'hi' belong to no option. Give them with --engine_dir, --input_text.")
    try refused(.run, ["--engine_dir", "/no", "--input_text", "hello", "world"], says: "'world' belongs to no option. A value with spaces in it needs quotes.")
    try refused(.prune, ["/no"], says: "'/no' belongs to no option. Give it with --checkpoint_dir.")
  }

  @Test func `a seed is told as what it may be`() throws {
    for seed in ["-1", "1.5", "18446744073709551616"] {
      try refused(.run, ["--model", "/no", "--input_text", "x", "--seed", seed], says: "--seed is '\(seed)'; give a whole number from 0 to 18446744073709551615")
    }
  }

  @Test func `a mistyped command is told with the nearest`() throws {
    let drydock = try #require(Execution.command("drydock"))
    for (given, nearest) in [("bild", "build"), ("trtllm-sreve", "serve")] {
      let said = try Execution.run(drydock, [given])
      #expect(said.status == 2 && said.errors.contains("unknown command '\(given)'. Did you mean '\(nearest)'? Known: convert, build"), "\(said.errors)")
    }
  }

  @Test(arguments: ["install", "test", "quickstart", "fetch-model", "fuzz"])
  func `the help of a script ends with a whole sentence`(_ name: String) throws {
    let help = try Execution.run(Project.at("Scripts/\(name)"), ["--help"])
    let last = help.output.split(separator: "\n").last ?? ""
    #expect(help.status == 0 && help.errors == "" && last.hasSuffix(".") && !help.output.contains("set -"), "\(help.output) \(help.errors)")
  }

  @Test func `the quickstart says of a directory without commands how to fill it`() throws {
    let said = try Execution.run(Project.at("Scripts/quickstart"), ["--tiny", "--bin", TemporaryDirectory().path.string])
    #expect(said.status == 2 && said.errors.contains("swift build -c release") && said.errors.split(separator: "\n").count == 1, "\(said.errors)")
  }

  @Test func `every request for an answer that documents show says how long the answer may be`() throws {
    var pages = [try Command.serve.succeed("--help").output, try #require(text(Project.at("README.md"))), try #require(text(Project.at("Scripts/quickstart")))]
    for name in try #require(names(in: Project.at("docs"))) { pages.append(try #require(text(Project.at("docs/\(name)")))) }
    let requests = pages.flatMap { $0.split(separator: "curl ").dropFirst() }.filter { $0.prefix(120).contains("completions") }
    #expect(requests.count >= 4)
    for request in requests { #expect(request.prefix(400).contains("max_tokens"), "\(request.prefix(400))") }
  }
}
