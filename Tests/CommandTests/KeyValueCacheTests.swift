import Files
import JSON
import SystemPackage
import TestSupport
import Testing

/// How keys and values are kept, and in how much memory.
@Suite(.serialized) struct KeyValueCacheTests {
  let d = TemporaryDirectory()

  private func build(_ name: String, _ flags: String...) throws -> String {
    try Command.build.succeed(["--model_dir", Project.at("Models/tiny").string, "--output_dir", d(name).string] + flags)
    return d(name).string
  }
  private func numbers(_ value: JSONValue?) throws -> [Double] { try #require(value?.array).compactMap(\.double) }

  /// The float32 model of the golden results, so that nothing but the cache rounds.
  @Test func `a bfloat16 cache answers as transformers with a rounded cache`() throws {
    let expected = try JSONValue(parsing: try #require(contents(Project.at("Tests/Golden/tiny-bfloat16-cache.json"))))
    let cases = try #require(expected["cases"]?.array)
    let engines = [try build("rounded", "--dtype", "float32", "--kv_cache_dtype", "bfloat16"), try build("exact", "--dtype", "float32")]
    // A number that lies where rounding turns may go the other way than in transformers' order of sums.
    let tolerance = 2e-3
    var greatest = [0.0, 0.0]
    for (index, engine) in engines.enumerated() {
      let found = try Command.generate(FilePath(engine), cases.compactMap { $0["prompt"]?.string }, chat: false, logprobs: 20)
      for (wanted, found) in zip(cases, found) {
        #expect(found["input_ids"] == wanted["input_ids"] && found["output_ids"] == wanted["greedy_ids"], "\(wanted["prompt"]?.string ?? "")")
        let (steps, mine) = (try #require(wanted["top"]?.array), try #require(found["top_logprobs"]?.array))
        for (step, likeliest) in zip(steps, mine) {
          var values: [Int: Double] = [:]
          for entry in likeliest.array ?? [] { values[entry["id"]?.int ?? -1] = entry["logprob"]?.double }
          for (token, value) in zip(try numbers(step["ids"]), try numbers(step["logprobs"])) {
            greatest[index] = max(greatest[index], abs(try #require(values[Int(token)]) - value))
          }
        }
      }
    }
    #expect(greatest[0] <= tolerance, "with a bfloat16 cache")
    #expect(greatest[1] > 5 * tolerance, "with a float32 cache, or the comparison could not tell")
  }

  @Test func `flags that make no sense are wrong usage`() throws {
    let engine = try build("e", "--dtype", "bfloat16")
    let run = ["--engine_dir", engine, "--input_text", "a", "--max_output_len", "2"]
    func expect(_ command: Command, _ arguments: [String], _ status: Int32 = 2, says words: String...) throws {
      let done = try command(arguments)
      #expect(done.status == status && done.output == "", "\(arguments): \(done.errors)")
      for word in words { #expect(done.errors.contains(word), "'\(word)' in: \(done.errors)") }
    }
    let fraction = "--kv_cache_free_mem_fraction"
    for value in ["0", "-0.5", "1.01", "nan", "inf"] {
      try expect(.run, run + [fraction, value], says: "\(fraction) is", "above 0 and at most 1")
      try expect(.serve, [engine, "--kv_cache_free_gpu_memory_fraction", value], says: "\(fraction) is")
    }
    try expect(.run, run + [fraction, "half"], says: "half", fraction)
    try expect(.run, run + ["--max_seq_len", "0"], says: "--max_seq_len is 0")
    #expect(try Command.run.succeed(run + ["--max_seq_len", "1000"]).errors.contains("the engine was built for 512"))
    try expect(.run, run + [fraction, "0.0000001"], 1, says: "aise \(fraction)", "free beside the weights")
    for (command, arguments) in [(Command.build, ["--model_dir", Project.at("Models/tiny").string, "--output_dir", d("out").string]), (.run, run), (.serve, [engine])] {
      try expect(command, arguments + ["--kv_cache_dtype", "fp8"], says: "--kv_cache_dtype", "bfloat16")
    }
    try expect(.run, run + ["--kv_cache_dtype", "float32"], says: "--kv_cache_dtype is float32", "keeps bfloat16")
    #expect(names(in: d("out")) == nil)
  }

  @Test func `upstream's names of the fraction mean the same, and size and fraction go together`() throws {
    let engine = try build("e", "--dtype", "float16")
    for flag in ["--kv_cache_free_mem_fraction", "--kv_cache_free_gpu_memory_fraction", "--free_gpu_memory_fraction"] {
      let done = try Command.run.succeed(
        "--engine_dir", engine, "--input_text", "a", "--max_output_len", "2", "--log_level", "verbose", flag, "0.9", "--kv_cache_size", "10MB")
      #expect(done.errors.contains("512 tokens in bfloat16, 262.1 kB"), "\(done.errors)")
      #expect(!done.errors.contains("ignored") && !done.errors.contains("warning"), "\(done.errors)")
      // One sequence takes 262 kB: each of the two forbids it in turn, and what the other allows does not count.
      let run = ["--engine_dir", engine, "--input_text", "a", "--max_output_len", "2"]
      let little = try Command.run(run + [flag, "0.9", "--kv_cache_size", "100kB"])
      #expect(little.status == 1 && little.errors.contains("the cache may have 100 kB"), "\(little.errors)")
      let share = try Command.run(run + [flag, "0.0000001", "--kv_cache_size", "10MB"])
      #expect(share.status == 1 && share.errors.contains("1e-07 of the "), "\(share.errors)")
    }
  }

  @Test func `a sequence of more than the default share of the memory is warned of at the start`() throws {
    let available = try #require(Processors.availableMemory)
    // Three quarters of what is available, in bytes of a token with this model; machines too large for it have no such sequence.
    for (type, bytes) in [("bfloat16", 512), ("float32", 1024)] where available / 4 * 3 / bytes <= 1 << 24 {
      let length = "\(available / 4 * 3 / bytes)"
      let engine = try build("long-" + type, "--dtype", "float32", "--kv_cache_dtype", type, "--max_seq_len", length)
      let done = try Command.run.succeed("--engine_dir", engine, "--input_text", "a", "--max_output_len", "2")
      #expect(done.errors.contains("warning: --max_seq_len: lower it to"), "\(done.errors)")
      #expect(!(try Command.run.succeed("--engine_dir", engine, "--input_text", "a", "--max_output_len", "2", "--max_seq_len", "512")).errors.contains("lower it"))
      return
    }
  }

  @Test func `a model is run with the cache that is asked for`() throws {
    let tiny = Project.at("Models/tiny").string
    for type in ["float32", "bfloat16"] {
      let done = try Command.run.succeed(
        "--model", tiny, "--engine_cache", d("cache").string, "--input_text", "a", "--max_output_len", "2", "--log_level", "verbose",
        "--kv_cache_dtype", type)
      #expect(done.errors.contains("512 tokens in \(type)"), "\(done.errors)")
    }
    #expect(names(in: d("cache"))?.count == 2)
    // What the machine cannot hold is told before an engine is built of the model.
    let done = try Command.run("--model", tiny, "--engine_cache", d("none").string, "--input_text", "a", "--kv_cache_size", "1kB")
    #expect(done.status == 1 && done.errors.contains("Raise --kv_cache_size"), "\(done.errors)")
    #expect(!done.errors.contains("building") && (names(in: d("none")) ?? []).allSatisfy { !$0.hasPrefix("engine-") })
  }
}
