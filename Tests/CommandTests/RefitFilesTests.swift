import Foundation
import JSON
import SystemPackage
import TestSupport
import Testing

/// What belongs to weights comes along with them: the engine that a refit leaves is the one that a build would have made.
@Suite(.serialized) struct RefitFilesTests {
  let d = TemporaryDirectory(inMemory: true)
  private func path(_ name: String) -> String { d(name).string }

  private static let template = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
  private static let tied = "Tests/WeightSourcesTests/Expected/models/tied"

  /// Tiny with other weights (the last byte of each float32 mantissa), chat template and end tokens.
  private func makeTuned(_ name: String) throws {
    let tiny = Project.at("Models/tiny")
    for file in ["config.json", "tokenizer.json"] { d.write("\(name)/\(file)", try #require(contents(tiny.appending(file)))) }
    var weights = try #require(contents(tiny.appending("model.safetensors")))
    let header = weights.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    for index in stride(from: 8 + header, to: weights.count, by: 4) { weights[index] ^= 0x55 }
    d.write("\(name)/model.safetensors", weights)
    d.write("\(name)/tokenizer_config.json", #"{"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "unk_token": "<|endoftext|>"}"#)
    d.write("\(name)/chat_template.jinja", Self.template)
    d.write("\(name)/generation_config.json", #"{"eos_token_id": [2, 79]}"#)
  }

  /// Every file but the lineage.
  private func files(_ name: String) throws -> [String: [UInt8]] {
    var all: [String: [UInt8]] = [:]
    for file in try #require(names(in: d(name))) where file != "lineage.json" { all[file] = contents(d(name).appending(file)) }
    return all
  }
  private func expectSame(_ one: String, _ other: String, _ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let (left, right) = (try files(one), try files(other))
    #expect(left.keys.sorted() == right.keys.sorted(), comment, sourceLocation: sourceLocation)
    for (name, bytes) in left { #expect(bytes == right[name], "\(comment): \(name)", sourceLocation: sourceLocation) }
  }

  private func build(_ model: String, _ name: String, _ options: [String] = []) throws {
    try Command.convert.succeed(["--model_dir", model, "--output_dir", path("\(name)-checkpoint"), "--dtype", "float32"] + options)
    var arguments = ["--checkpoint_dir", path("\(name)-checkpoint"), "--output_dir", path(name), "--refit_scope", "all", "--max_batch_size", "2"]
    let cache = path("timing.json")
    arguments += names(in: d.path)?.contains("timing.json") == true ? ["--input_timing_cache", cache] : ["--output_timing_cache", cache]
    try Command.build.succeed(arguments)
  }
  @discardableResult
  private func refit(_ engine: String, _ source: String, to name: String, _ options: [String] = []) throws -> Execution {
    try Command.refit.succeed(["--engine_dir", path(engine), "--checkpoint_dir", source, "--refit_engine_dir", path(name)] + options)
  }

  @Test(arguments: [[], ["--tp_size", "2"]])
  func `a refit leaves the directory that a build of the new model would`(_ options: [String]) throws {
    try makeTuned("B")
    try build(Project.at("Models/tiny").string, "A", options)
    try build(path("B"), "built", options)
    #expect(try files("A")["tokenizer_config.json"] != files("built")["tokenizer_config.json"])
    for (source, name) in [("B", "from-model"), ("built-checkpoint", "from-checkpoint"), ("built", "from-engine")] {
      let execution = try refit("A", path(source), to: name)
      try expectSame(name, "built", "refit(build(A), B) == build(B), \(name)")
      #expect(execution.errors.contains("tokenizer, chat template and generation settings from \(path(source))"), "\(execution.errors)")
    }
    // By a process for each rank.
    for rank in options.isEmpty ? 0..<1 : 0..<2 { try refit("A", path("B"), to: "by-rank", ["--rank", "\(rank)"]) }
    try expectSame("by-rank", "built", "several processes")
    // In place, and back.
    try refit("A", path("A-checkpoint"), to: "kept")
    try expectSame("kept", "A", "the same model changes nothing")
    try refit("kept", path("B"), to: "kept")
    try expectSame("kept", "built", "in place")
    try refit("kept", path("A-checkpoint"), to: "kept")
    try expectSame("kept", "A", "and back")
    // From a stripped engine and from a skeleton's.
    try Command.refit.succeed("--engine_dir", path("A"), "--strip", "--refit_engine_dir", path("stripped"))
    try refit("stripped", path("B"), to: "filled")
    try expectSame("filled", "built", "a stripped engine")
    try Command.prune.succeed("--checkpoint_dir", path("A-checkpoint"), "--out_dir", path("pruned"))
    try Command.build.succeed(
      "--checkpoint_dir", path("pruned"), "--output_dir", path("skeleton"), "--refit_scope", "all", "--max_batch_size", "2",
      "--input_timing_cache", path("timing.json"))
    try refit("skeleton", path("A-checkpoint"), to: "whole")
    try expectSame("whole", "A", "refit(build(prune(A)), A) == build(A)")
  }

  @Test func `a GGUF file brings the tokenizer that a conversion of it would write`() throws {
    try build(Project.at(Self.tied + ".gguf").string, "built")
    // An engine of the same model with other files.
    for file in try #require(names(in: d("built-checkpoint"))) {
      d.write("other/\(file)", try #require(contents(d("built-checkpoint").appending(file))))
    }
    d.write("other/chat_template.jinja", Self.template)
    d.write("other/generation_config.json", #"{"eos_token_id": 3}"#)
    try Command.build.succeed(
      "--checkpoint_dir", path("other"), "--output_dir", path("A"), "--refit_scope", "all", "--max_batch_size", "2",
      "--input_timing_cache", path("timing.json"))
    #expect(try files("A") != files("built"))
    try refit("A", Project.at(Self.tied + ".gguf").string, to: "refitted")
    try expectSame("refitted", "built", "refit(build(A), GGUF) == build(GGUF)")
  }

  @Test func `an adapter brings the files it carries, and the base takes them away again`() throws {
    try build(Project.at("Models/tiny").string, "A")
    let lora = Project.at("Models/tiny-lora")
    func makeAdapter(_ name: String) throws {
      for file in ["adapter_config.json", "adapter_model.safetensors"] { d.write("\(name)/\(file)", try #require(contents(lora.appending(file)))) }
    }
    try makeAdapter("plain")
    d.write("plain/README.md", "of the adapter")
    let quiet = try refit("A", path("plain"), to: "adapted")
    let (plain, own) = (try files("adapted").filter { $0.key != "rank0.engine" }, try files("A").filter { $0.key != "rank0.engine" })
    #expect(!quiet.errors.contains("tokenizer") && plain == own)

    // As trainers save: a whole tokenizer, with the template in a file of its own.
    try makeAdapter("whole")
    let tiny = Project.at("Models/tiny")
    d.write("whole/tokenizer.json", try #require(contents(tiny.appending("tokenizer.json"))))
    d.write("whole/tokenizer_config.json", #"{"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "unk_token": "<|endoftext|>"}"#)
    d.write("whole/chat_template.jinja", Self.template)
    let told = try refit("A", path("whole"), to: "chat", ["--json"])
    let adapted = try files("chat")
    #expect(adapted["chat_template.jinja"] == Array(Self.template.utf8) && adapted["generation_config.json"] == contents(tiny.appending("generation_config.json")))
    #expect(adapted["tokenizer_config.json"] == contents(d("whole/tokenizer_config.json")) && adapted["config.json"] == contents(d("A/config.json")))
    let report = try JSONValue(parsing: told.output)
    #expect(report["files"]?["summary"] == .string("tokenizer and chat template from \(path("whole"))"))
    #expect(report["files"]?["added"] == ["chat_template.jinja"] && report["files"]?["replaced"] == ["tokenizer_config.json"])
    let lineage = try JSONValue(parsing: try #require(text(d("chat/lineage.json"))))
    #expect(lineage["files"]?["chat_template.jinja"]?["source"] == .string(path("whole")))
    #expect(lineage["files"]?["generation_config.json"]?["source"] == .string(path("A-checkpoint")))
    try refit("chat", path("A-checkpoint"), to: "back")
    try expectSame("back", "A", "adapter with a template, then the base")

    // A template alone goes with the engine's tokenizer; half a tokenizer does not.
    try makeAdapter("template")
    d.write("template/chat_template.jinja", Self.template)
    #expect(try refit("A", path("template"), to: "templated").errors.contains("chat template from"))
    // Where the engine's own stands in tokenizer_config.json, it goes: two that differ would be told for ever.
    let settings = try #require(try JSONValue(parsing: text(d("A/tokenizer_config.json")) ?? "").object)
    #expect(settings.keys.contains("chat_template"))
    #expect(try refit("A", path("template"), to: "strict", ["--strict"]).errors.contains("warning") == false)
    let left = try #require(try JSONValue(parsing: text(d("strict/tokenizer_config.json")) ?? "").object)
    #expect(left == settings.filter { $0.key != "chat_template" })
    try makeAdapter("half")
    d.write("half/tokenizer_config.json", #"{"eos_token": "<|endoftext|>"}"#)
    d.write("half/added_tokens.json", #"{"<new>": 5}"#)
    #expect(try refit("A", path("half"), to: "halved").errors.contains("added_tokens.json, tokenizer_config.json without a tokenizer.json: left out"))
    let (halved, first) = (try files("halved"), try files("A"))
    #expect(halved["tokenizer_config.json"] == first["tokenizer_config.json"] && halved["added_tokens.json"] == nil)
    #expect(try Command.refit("--engine_dir", path("A"), "--checkpoint_dir", path("half"), "--refit_engine_dir", path("no"), "--strict").status == 1)
  }

  @Test func `a damaged tokenizer of an adapter is told with what is wrong with its settings and tensors`() throws {
    try build(Project.at("Models/tiny").string, "A")
    for file in ["adapter_config.json", "adapter_model.safetensors"] { d.write("bad/\(file)", try #require(contents(Project.at("Models/tiny-lora").appending(file)))) }
    d.write("bad/tokenizer.json", "{")
    let config = try #require(text(d("bad/adapter_config.json")))
    d.write("bad/adapter_config.json", config.replacing("\"r\": ", with: "\"r\": 1"))
    let refused = try Command.refit("--engine_dir", path("A"), "--checkpoint_dir", path("bad"), "--refit_engine_dir", path("no"))
    #expect(refused.status == 1 && refused.errors.contains("another rank than adapter_config.json says") && refused.errors.contains("tokenizer.json: invalid JSON"), "\(refused.errors)")
    // Where a GGUF file is named by its directory, what lies beside it is told.
    let gguf = Project.at("Tests/WeightSourcesTests/Expected/adapters/gguf/tiny-lora.f32.gguf")
    d.write("gguf/lora.gguf", try #require(contents(gguf)))
    d.write("gguf/tokenizer.json", "{}")
    for flag in ["--checkpoint_dir", "--lora_dir"] {
      let told = try Command.refit("--engine_dir", path("A"), flag, path("gguf"), "--refit_engine_dir", path("told"), "--dry_run")
      #expect(told.status == 0 && told.errors.contains("'tokenizer.json' lies beside an adapter in a GGUF file"), "\(told.errors)")
    }
  }

  @Test func `a source without a tokenizer leaves the engine's, and so does --keep_tokenizer`() throws {
    try makeTuned("B")
    try build(Project.at("Models/tiny").string, "A")
    let kept = try refit("A", path("B"), to: "kept", ["--keep_tokenizer"])
    #expect(kept.errors.contains("the engine's own tokenizer, chat template and generation settings stay, as asked"))
    for file in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] { #expect(try files("kept")[file] == files("A")[file]) }
    let (after, before) = (try files("kept"), try files("A"))
    #expect(after["chat_template.jinja"] == nil && after["rank0.engine"] != before["rank0.engine"])
    for file in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"] {
      try FileManager.default.removeItem(atPath: path("B/\(file)"))
    }
    let bare = try refit("A", path("B"), to: "bare")
    #expect(bare.errors.contains("has no tokenizer: the engine's stays"))
    #expect(try files("bare")["tokenizer.json"] == files("A")["tokenizer.json"])
    // A note that somebody put into the engine is no model's file.
    d.write("bare/notes.txt", "ours")
    for round in 1...3 {
      try refit("bare", path("A-checkpoint"), to: "bare")
      #expect(contents(d("bare/notes.txt")) == Array("ours".utf8), "after refit \(round)")
    }
  }

  @Test func `a tokenizer that does not fit is refused before anything is written`() throws {
    try makeTuned("B")
    try build(Project.at("Models/tiny").string, "A")
    let tokenizer = try #require(text(d("B/tokenizer.json")))
    d.write("B/tokenizer.json", tokenizer.replacing("\"added_tokens\": [", with: #""added_tokens": [{"id": 500, "content": "<new>", "special": true},"#))
    d.write("B/generation_config.json", #"{"eos_token_id": [2, 900]}"#)
    let refused = try Command.refit("--engine_dir", path("A"), "--checkpoint_dir", path("B"), "--refit_engine_dir", path("no"), "--dry_run")
    #expect(refused.status == 1 && refused.errors.contains("eos_token_id names 900") && refused.errors.contains("--keep_tokenizer"))
    #expect(names(in: d.path)?.contains("no") == false)
    try refit("A", path("B"), to: "weights", ["--keep_tokenizer"])
    // A token without a row is no fault until a text has it.
    d.write("B/generation_config.json", #"{"eos_token_id": 2}"#)
    #expect(try Command.refit.succeed("--engine_dir", path("A"), "--checkpoint_dir", path("B"), "--refit_engine_dir", path("more")).errors.contains("tokenizer.json knows 430 tokens"))
    _ = try Command.run.succeed("--engine_dir", path("more"), "--input_text", "The ship", "--max_output_len", "2")
    let beyond = try Command.run("--engine_dir", path("more"), "--input_text", "The <new> ship", "--max_output_len", "2")
    #expect(beyond.status == 1 && beyond.errors.contains("below 429"), "\(beyond.errors)")
    d.write("B/generation_config.json", #"{"eos_token_id": [2, 900]}"#)
    // Conversion is useful without: it warns, unless that is an error.
    let convert = ["--model_dir", path("B"), "--output_dir", path("converted"), "--dtype", "float32"]
    let strict = try Command.convert(convert + ["--strict"])
    #expect(strict.status == 1 && names(in: d.path)?.contains("converted") == false)
    #expect(try Command.convert.succeed(convert).errors.contains("tokenizer.json knows 430 tokens"))
    #expect(try Command.build.succeed("--checkpoint_dir", path("converted"), "--output_dir", path("e"), "--max_batch_size", "2").errors.contains("430 tokens"))
  }

  @Test func `a tokenizer or template that cannot be used takes the place of none that can`() throws {
    try build(Project.at("Models/tiny").string, "A")
    let whole = try #require(text(Project.at("Models/tiny").appending("tokenizer.json")))
    for (file, damaged, said) in [
      ("tokenizer.json", String(whole.prefix(whole.count / 2)), "tokenizer.json"), ("tokenizer.json", "", "tokenizer.json"),
      ("tokenizer.json", whole.replacing(#""type": "BPE""#, with: #""type": "Unigram""#), "'Unigram'"),
      ("tokenizer_config.json", "{", "tokenizer_config.json"), ("tokenizer_config.json", "null", "should be a JSON object"),
      ("generation_config.json", #"{"eos_token_id": "2"}"#, "eos_token_id"),
    ] {
      try makeTuned("B")
      d.write("B/\(file)", damaged)
      let refused = try Command.refit("--engine_dir", path("A"), "--checkpoint_dir", path("B"), "--refit_engine_dir", path("no"), "--dry_run")
      #expect(refused.status == 1 && refused.errors.contains(said) && refused.errors.contains("--keep_tokenizer"), "\(file): \(refused.errors)")
      #expect(names(in: d.path)?.contains("no") == false)
      try refit("A", path("B"), to: "weights", ["--keep_tokenizer"])
      #expect(try files("weights")["tokenizer.json"] == files("A")["tokenizer.json"])
    }
    // Settings of generation that nobody can read are none, as in transformers.
    try makeTuned("B")
    d.write("B/generation_config.json", "[")
    #expect(try refit("A", path("B"), to: "unsettled").errors.contains("generation_config.json: invalid JSON"))
    // One that has no template is no place that a template comes from.
    try makeTuned("B")
    for empty in [true, false] {
      if empty { d.write("B/chat_template.jinja", "") } else { remove(d("B/chat_template.jinja")) }
      let bare = try refit("A", path("B"), to: "bare template")
      #expect(bare.errors.contains("so the engine loses its own: --keep_tokenizer"), "\(bare.errors)")
      #expect(bare.errors.contains("no chat template any more") && !bare.errors.contains("chat template from"), "\(bare.errors)")
    }
    // A template: an engine that has one keeps it, one that has none gets what a build would give, with a warning.
    try makeTuned("B")
    try refit("A", path("B"), to: "templated")
    d.write("B/chat_template.jinja", "{% for %}")
    let refused = try Command.refit("--engine_dir", path("templated"), "--checkpoint_dir", path("B"), "--refit_engine_dir", path("no"))
    #expect(refused.status == 1 && refused.errors.contains("chat template cannot be used"), "\(refused.errors)")
    // What the engine lacks cannot be lost.
    for file in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] { remove(d("A-checkpoint/\(file)")) }
    try Command.build.succeed(
      "--checkpoint_dir", path("A-checkpoint"), "--output_dir", path("bare"), "--refit_scope", "all", "--max_batch_size", "2",
      "--input_timing_cache", path("timing.json"))
    d.write("B/tokenizer.json", "{}")
    let told = try refit("bare", path("B"), to: "damaged")
    #expect(told.errors.contains("will refuse this tokenizer") && told.errors.contains("chat template"), "\(told.errors)")
  }

  @Test func `end tokens that only config.json names reach the engine`() throws {
    try makeTuned("B")
    try FileManager.default.removeItem(atPath: path("B/generation_config.json"))
    let config = try #require(text(d("B/config.json")))
    d.write("B/config.json", config.replacing(#""eos_token_id": 2"#, with: #""eos_token_id": [5, 79]"#))
    try build(path("B"), "E")
    #expect(try JSONValue(parsing: try #require(text(d("E/generation_config.json"))))["eos_token_id"] == [5, 79])
  }

  @Test func `a tokenizer that cannot be used is told at convert and at build`() throws {
    try makeTuned("B")
    d.write("B/tokenizer.json", #"{"model": {"type": "Unigram", "vocab": []}, "decoder": {"type": "ByteLevel"}, "pre_tokenizer": {"type": "ByteLevel"}}"#)
    let convert = try Command.convert.succeed("--model_dir", path("B"), "--output_dir", path("c"), "--dtype", "float32")
    #expect(convert.errors.contains("trtllm-run and trtllm-serve will refuse this tokenizer") && convert.errors.contains("'Unigram'"))
    #expect(try Command.build.succeed("--checkpoint_dir", path("c"), "--output_dir", path("e"), "--max_batch_size", "2").errors.contains("'Unigram'"))
    try FileManager.default.removeItem(atPath: path("B/tokenizer.json"))
    d.write("B/tokenizer.model", "sentences")
    let model = try Command.convert.succeed("--model_dir", path("B"), "--output_dir", path("m"), "--dtype", "float32")
    #expect(model.errors.contains("tokenizer.model") && model.errors.contains("save_pretrained"))
  }

  @Test func `a model without tokenizer.json brings the chat template of its tokenizer_config.json`() throws {
    try makeTuned("B")
    try build(Project.at("Models/tiny").string, "A")
    for file in ["tokenizer.json", "chat_template.jinja"] { remove(d("B/\(file)")) }
    d.write("B/tokenizer.model", "x")
    d.write("B/tokenizer_config.json", JSONValue.object(["eos_token": "<|im_end|>", "chat_template": .string(Self.template)]).serialized())
    let execution = try refit("A", path("B"), to: "refitted")
    let settings = try JSONValue(parsing: try files("refitted")["tokenizer_config.json"] ?? [])
    #expect(settings["chat_template"]?.string == Self.template, "\(execution.errors)")
    #expect(execution.errors.contains("chat template and generation settings from \(path("B"))"), "\(execution.errors)")
    // The rest is the engine's, with its tokenizer.
    let own = try JSONValue(parsing: try files("A")["tokenizer_config.json"] ?? [])
    #expect(settings["unk_token"] == own["unk_token"])
    #expect(try files("refitted")["tokenizer.json"] == files("A")["tokenizer.json"])
  }
}
