import Foundation
import JSON
import SystemPackage
import TestSupport
import Testing

/// From a model file to an answer with one command.
@Suite(.serialized) struct EngineCacheCommandTests {
  let d = TemporaryDirectory()
  private var cache: String { d("cache").string }
  private var kept: [String] { names(in: d("cache")) ?? [] }

  private func answer(_ arguments: [String]) throws -> (ids: JSONValue?, errors: String) {
    let done = try Command.run.succeed(arguments + ["--json", "--input_text", "a b c", "--max_output_len", "8"])
    return (try JSONValue(parsing: done.output)["output_ids"], done.errors)
  }

  @Test func `a model is run as the engine built from it`() throws { try expectSame(Project.at("Models/tiny").string) }

  @Test(.enabled(if: Extras.model != nil, Extras.noModel)) func `a GGUF file is run as the engine built from it`() throws {
    try expectSame(try #require(Extras.model).string)
  }

  private func expectSame(_ model: String) throws {
    try Command.build.succeed("--model_dir", model, "--output_dir", d("built").string, "--dtype", "bfloat16")
    let wanted = try answer(["--engine_dir", d("built").string])
    let first = try answer(["--model", model, "--engine_cache", cache, "--dtype", "bfloat16"])
    #expect(first.ids == wanted.ids && first.ids?.array?.isEmpty == false)
    #expect(first.errors.contains("building an engine of \(model)") && first.errors.contains("once") && first.errors.contains(cache))
    let second = try answer(["--engine_dir", model, "--engine_cache", cache, "--dtype", "bfloat16"])
    #expect(second.ids == wanted.ids && second.errors == "", "nothing is to be said of an engine that is there")
    #expect(kept.count == 1 && kept.allSatisfy { $0.hasPrefix("engine-") })
  }

  @Test func `engines are kept where the user's other caches are`() throws {
    let arguments = ["--model", Project.at("Models/tiny").string, "--input_text", "a"]
    let standard = try Command.run(arguments, environment: ["XDG_CACHE_HOME": d("xdg").string, "HOME": d("home").string])
    #expect(standard.status == 0, "\(standard.errors)")
    #expect(names(in: d("xdg/drydock/engines"))?.count == 1 && names(in: d("home")) == nil)
    // A relative path is to be ignored, says the standard.
    let home = try Command.run(arguments, environment: ["XDG_CACHE_HOME": "relative", "HOME": d("home").string])
    #expect(home.status == 0 && names(in: d("home/.cache/drydock/engines"))?.count == 1)
    let nowhere = try Command.run(arguments, environment: ["XDG_CACHE_HOME": "", "HOME": ""])
    #expect(nowhere.status == 2 && nowhere.errors.contains("--engine_cache"))
  }

  @Test func `flags that do not fit what the path holds are wrong usage`() throws {
    let tiny = Project.at("Models/tiny").string
    try Command.convert.succeed("--model_dir", tiny, "--output_dir", d("ck").string, "--dtype", "float32")
    try Command.build.succeed("--checkpoint_dir", d("ck").string, "--output_dir", d("e").string, "--dtype", "float32", "--tp_size", "1")
    func expect(_ command: Command, _ arguments: [String], _ status: Int32 = 2, says words: String...) throws {
      let done = try command(arguments)
      #expect(done.status == status && done.output == "", "\(arguments): \(done.errors)")
      for word in words { #expect(done.errors.contains(word), "'\(word)' in: \(done.errors)") }
    }
    let out = ["--output_dir", d("out").string]
    try expect(.build, ["--checkpoint_dir", d("ck").string, "--dtype", "bfloat16", "--tp_size", "2"] + out, says: "--dtype", "--tp_size", "checkpoint")
    try expect(.build, ["--model_dir", tiny, "--dtype", "int8"] + out, says: "--dtype")
    try expect(.build, ["--model_dir", d("e").string] + out, 1, says: "engine")
    try expect(.build, ["--model_dir", Project.at("Models/tiny-lora").string] + out, 1, says: "adapter")
    #expect(names(in: d("out")) == nil)
    let prompt = ["--input_text", "a", "--engine_cache"]
    try expect(.run, ["--model", tiny] + prompt + ["none"], says: "trtllm-build")
    try expect(.run, ["--model", d("e").string, "--dtype", "bfloat16"] + prompt + [cache], says: "--dtype", "engine")
    try expect(.run, ["--model", tiny, "--engine_cache_size", "much"] + prompt + [cache], says: "engine_cache_size")
    try expect(.run, ["--model", Project.at("Models/tiny-lora").string] + prompt + [cache], 1, says: "adapter", "trtllm-refit")
    try expect(.run, ["--model", tiny, "--engine_cache_size", "10k"] + prompt + [cache], 1, says: "--engine_cache_size")
    try expect(.serve, [d("none").string, "--port", "0", "--engine_cache", cache], 1, says: "none")
    #expect(kept == [])
    // An engine needs no cache.
    #expect(try answer(["--engine_dir", d("e").string, "--engine_cache", "none", "--dtype", "float32"]).ids != nil)
  }

  @Test func `a tokenizer that cannot be used is told before anything is built`() throws {
    #expect(try Execution.run("/usr/bin/env", ["cp", "-r", Project.at("Models/tiny").string, d("m").string]).status == 0)
    d.write("m/tokenizer.json", "{}")
    let done = try Command.run(["--model", d("m").string, "--engine_cache", cache, "--input_text", "a"])
    #expect(done.status == 1 && done.errors.contains("tokenizer.json"), "\(done.errors)")
    remove(d("m/tokenizer.json"))
    let missing = try Command.run(["--model", d("m").string, "--engine_cache", cache, "--input_text", "a"])
    #expect(missing.status == 1 && missing.errors.contains("--tokenizer_dir"), "\(missing.errors)")
    #expect(kept == [])
    #expect(try answer(["--model", d("m").string, "--engine_cache", cache, "--tokenizer_dir", Project.at("Models/tiny").string]).ids != nil)
  }

  @Test func `what is to be said of a model is said at each start, once`() throws {
    #expect(try Execution.run("/usr/bin/env", ["cp", "-r", Project.at("Models/tiny").string, d("m").string]).status == 0)
    let config = try #require(text(d("m/config.json")))
    d.write("m/config.json", config.replacing("{", with: #"{"strange_setting": 7,"#, maxReplacements: 1))
    d.write("m/generation_config.json", #"{"eos_token_id": 2, "do_sample": true, "temperature": 0.5}"#)
    d.write("m/adapter_config.json", "{}")
    let arguments = ["--model", d("m").string, "--engine_cache", cache]
    func count(_ word: String, _ text: String) -> Int { text.components(separatedBy: word).count - 1 }
    for start in ["built", "found", "found"] {
      let said = try answer(arguments).errors
      #expect(said.contains("building an engine") == (start == "built"))
      for word in ["strange_setting", "temperature 0.5", "adapter_config.json"] { #expect(count(word, said) == 1, "\(start): '\(word)' in \(said)") }
    }
    // What is wrong with a tokenizer that is not used is nothing to know.
    let other = try answer(arguments + ["--tokenizer_dir", Project.at("Models/tiny").string]).errors
    #expect(count("strange_setting", other) == 1 && count("temperature", other) == 0, "\(other)")
    // An engine beside which something else lies.
    try Command.build.succeed("--model_dir", Project.at("Models/tiny").string, "--output_dir", d("e").string)
    d.write("e/rank0.safetensors", "")
    #expect(count("rank0.safetensors", try answer(["--engine_dir", d("e").string]).errors) == 1)
  }

  @Test func `processes that start together build once, and one that is killed while it builds leaves nothing`() throws {
    let arguments = ["--model", Project.at("Models/tiny").string, "--engine_cache", cache, "--input_text", "a b c", "--max_output_len", "4"]
    // Killed at whatever it was doing: the first of them hardly in the middle of writing, a later one perhaps.
    for _ in 0..<3 {
      let killed = try RunningCommand(try Command.run.executable, arguments)
      while killed.isRunning, !kept.contains(where: { $0.hasPrefix(".") }) { usleep(1000) }
      kill(killed.processIdentifier, SIGKILL)
      _ = killed.wait()
    }
    let running = try (0..<4).map { _ in try RunningCommand(try Command.run.executable, arguments) }
    let done = running.map { $0.wait() }
    for one in done { #expect(one.status == 0 && one.output == done[0].output, "\(one.errors)") }
    #expect(done.filter { $0.errors.contains("building an engine") }.count <= 1)
    #expect(kept.count == 1 && kept.allSatisfy { $0.hasPrefix("engine-") }, "\(kept)")
  }
}
