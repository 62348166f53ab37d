import JSON
import SystemPackage
import TestSupport
import Testing

/// Files beside weights that are not what their names say, or that count no more: told at convert, build and refit, and by the
/// programs that read a tokenizer, in the same way.
@Suite(.serialized) struct CompanionPlacesTests {
  let d = TemporaryDirectory(inMemory: true)
  private func path(_ name: String) -> String { d(name).string }

  /// Tiny, with one chat template in tokenizer_config.json.
  private func makeModel(_ name: String = "m", template: String? = "config") throws {
    remove(d(name))
    let tiny = Project.at("Models/tiny")
    for file in ["config.json", "tokenizer.json", "generation_config.json", "model.safetensors"] { d.write("\(name)/\(file)", try #require(contents(tiny.appending(file)))) }
    var roles: JSONObject = ["bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "unk_token": "<|endoftext|>"]
    if let template { roles["chat_template"] = .string(template) }
    d.write("\(name)/tokenizer_config.json", JSONValue.object(roles).serialized())
  }
  private func json(_ name: String) throws -> JSONValue { try JSONValue(parsing: contents(d(name)) ?? []) }
  private enum Odd: CaseIterable { case directory, pipe, link }
  private func put(_ odd: Odd, _ name: String) throws {
    remove(d(name))
    switch odd {
    case .directory: makeDirectory(d(name))
    case .pipe: #expect(try Execution.run("/usr/bin/env", ["mkfifo", path(name)]).status == 0)
    case .link: makeSymbolicLink(d(name), to: "/nowhere/at/all")
    }
  }
  private func convert(_ to: String, _ options: String...) throws -> Execution {
    try Command.convert(["--model_dir", path("m"), "--output_dir", path(to), "--dtype", "float32"] + options)
  }
  private func build(_ from: String, _ to: String, _ options: String...) throws -> Execution {
    let cache = names(in: d.path)?.contains("timing.json") == true ? ["--input_timing_cache", path("timing.json")] : ["--output_timing_cache", path("timing.json")]
    return try Command.build(["--checkpoint_dir", path(from), "--output_dir", path(to), "--refit_scope", "all", "--max_batch_size", "2"] + cache + options)
  }
  private func refit(_ engine: String, _ source: String, _ to: String, _ options: String...) throws -> Execution {
    try Command.refit(["--engine_dir", path(engine), "--checkpoint_dir", path(source), "--refit_engine_dir", path(to)] + options)
  }
  private func chat(_ engine: String, _ options: String...) throws -> Execution {
    try Command.run(["--engine_dir", path(engine), "--chat", "--input_text", "a", "--max_output_len", "1"] + options)
  }

  @Test func `a template that is no regular file counts as absent, and every command says so`() throws {
    for odd in Odd.allCases {
      for output in ["c", "e", "e2", "r"] { remove(d(output)) }
      try makeModel()
      try put(odd, "m/chat_template.jinja")
      let said = "chat_template.jinja is " + (odd == .directory ? "a directory" : odd == .pipe ? "no regular file" : "a link to nothing")
      let converted = try convert("c")
      #expect(converted.status == 0 && converted.errors.contains(said) && converted.errors.contains("it counts as absent, as in transformers"), "\(odd): \(converted.errors)")
      #expect(try convert("no", "--strict").status == 1)
      let built = try build("m", "e")
      #expect(built.status == 0 && built.errors.contains(said), "\(odd): \(built.errors)")
      #expect(try build("m", "no", "--strict").status == 1)
      let refitted = try refit("e", "m", "r")
      #expect(refitted.status == 0 && refitted.errors.contains(said), "\(odd): \(refitted.errors)")
      // The template of tokenizer_config.json counts, here and in a directory that is named.
      let asked = try chat("e", "--tokenizer_dir", path("m"))
      #expect(asked.status == 0 && asked.errors.contains(said), "\(odd): \(asked.errors)")
      // In a checkpoint and in an engine.
      try put(odd, "c/chat_template.jinja")
      let again = try build("c", "e2")
      #expect(again.status == 0 && again.errors.contains(said), "\(odd): \(again.errors)")
      try put(odd, "e/chat_template.jinja")
      let kept = try refit("e", "m", "r", "--keep_tokenizer")
      #expect(kept.status == 0 && kept.errors.contains(said), "\(odd): \(kept.errors)")
      #expect(names(in: d("r"))?.contains("chat_template.jinja") == false)
    }
    #expect(names(in: d.path)?.contains("no") == false)
  }

  @Test func `named templates that are no regular files, and what is no directory of them, are told`() throws {
    try makeModel(template: nil)
    d.write("m/additional_chat_templates/rag.jinja", "r")
    d.write("m/chat_template.jinja", "d")
    for odd in Odd.allCases { try put(odd, "m/additional_chat_templates/\(odd).jinja") }
    let built = try build("m", "e")
    for odd in Odd.allCases { #expect(built.status == 0 && built.errors.contains("additional_chat_templates/\(odd).jinja"), "\(built.errors)") }
    let templates = try json("e/tokenizer_config.json")["chat_template"]
    #expect(templates == [["name": "default", "template": "d"], ["name": "rag", "template": "r"]])
    remove(d("m/additional_chat_templates"))
    d.write("m/additional_chat_templates", "x")
    let file = try build("m", "f")
    #expect(file.status == 0 && file.errors.contains("additional_chat_templates is a file"), "\(file.errors)")
  }

  @Test func `the template of an older file is no default beside named ones, in whatever is made of the model`() throws {
    try makeModel(template: nil)
    d.write("m/chat_template.json", "{\"chat_template\": \"old\"}")
    d.write("m/additional_chat_templates/rag.jinja", "r")
    #expect(try convert("c").status == 0)
    for source in ["m", "c"] {
      remove(d("e"))
      let built = try build(source, "e")
      #expect(built.status == 0 && !built.errors.contains("the only chat template"), "\(built.errors)")
      if source == "m" { #expect(built.errors.contains("chat_template.json counts no more beside additional_chat_templates"), "\(built.errors)") }
      #expect(try json("e/tokenizer_config.json")["chat_template"] == [["name": "rag", "template": "r"]])
      #expect(names(in: d("e"))?.contains { $0.hasPrefix("chat_template.") } == false)
      // As where the directory itself is read.
      for asked in [try chat("e"), try chat("e", "--tokenizer_dir", path("m"))] {
        #expect(asked.status == 1 && asked.errors.contains("no chat template is called 'default'; there are: rag"), "\(asked.errors)")
        #expect(!asked.errors.contains("tokenizer_config.json: no chat template"), "\(asked.errors)")
      }
    }
    // Alone it still counts.
    remove(d("m/additional_chat_templates"))
    let alone = try build("m", "alone")
    #expect(alone.errors.contains("the only chat template is in chat_template.json") && contents(d("alone/chat_template.jinja")) == Array("old".utf8), "\(alone.errors)")
  }

  @Test func `named templates that lie in an engine or a checkpoint come along`() throws {
    try makeModel(template: nil)
    #expect(try convert("c").status == 0)
    d.write("c/additional_chat_templates/rag.jinja", "of the checkpoint")
    #expect(try build("c", "e").status == 0)
    func template(_ engine: String, _ name: String) throws -> String? {
      let list = try json("\(engine)/tokenizer_config.json")["chat_template"]?.array ?? []
      return list.first { $0["name"]?.string == name }?["template"]?.string
    }
    #expect(try template("e", "rag") == "of the checkpoint")
    // Put there later: a refit carries them, one that brings another tokenizer replaces them.
    d.write("e/additional_chat_templates/rag.jinja", "of the engine")
    d.write("e/additional_chat_templates/default.jinja", "{{ messages[0].content }}")
    let kept = try refit("e", "m", "kept", "--keep_tokenizer")
    #expect(kept.status == 0, "\(kept.errors)")
    #expect(try template("kept", "rag") == "of the engine" && template("kept", "default") == "{{ messages[0].content }}")
    let adapter = Project.at("Models/tiny-lora").string
    let adapted = try Command.refit("--engine_dir", path("e"), "--lora_dir", adapter, "--refit_engine_dir", path("adapted"))
    #expect(adapted.status == 0, "\(adapted.errors)")
    #expect(try template("adapted", "rag") == "of the engine")
    let replaced = try refit("e", "m", "replaced")
    #expect(replaced.status == 0 && contents(d("replaced/tokenizer_config.json")) == contents(d("m/tokenizer_config.json")), "\(replaced.errors)")
    #expect(names(in: d("replaced"))?.contains("additional_chat_templates") == false)
    // From one engine into another.
    #expect(try refit("replaced", "e", "moved").status == 0)
    #expect(try template("moved", "rag") == "of the engine")
    let asked = try chat("e", "--json")
    #expect(asked.status == 0, "\(asked.errors)")
  }

  @Test func `a chat template that another takes the place of is a warning, and an error where warnings are`() throws {
    try makeModel()
    #expect(try convert("c", "--strict").status == 0 && build("m", "e", "--strict").status == 0)
    for (file, said) in [
      ("chat_template.jinja", "chat_template.jinja and tokenizer_config.json hold different chat templates: chat_template.jinja counts"),
      ("additional_chat_templates/rag.jinja", "the chat template of tokenizer_config.json counts no more beside additional_chat_templates"),
    ] {
      try makeModel()
      d.write("m/\(file)", "another")
      for strict in [true, false] {
        for execution in [
          try strict ? convert("no", "--strict") : convert("c"), try strict ? build("m", "no", "--strict") : build("m", "built"),
          try strict ? refit("e", "m", "no", "--strict") : refit("e", "m", "refitted"),
        ] { #expect((execution.status == 1) == strict && execution.errors.contains(said), "\(file): \(execution.errors)") }
      }
    }
    #expect(names(in: d.path)?.contains("no") == false)
  }

  @Test func `a class that only config.json names comes along, whatever generation_config.json says`() throws {
    for generation in [nil, #"{"temperature": 0.5}"#, #"{"eos_token_id": 2}"#] as [String?] {
      for ends in [true, false] {
        try makeModel()
        if let generation { d.write("m/generation_config.json", generation) } else { remove(d("m/generation_config.json")) }
        var config = try #require(try json("m/config.json").object)
        config["tokenizer_class"] = "GPT2Tokenizer"
        if !ends { config["eos_token_id"] = nil }
        d.write("m/config.json", JSONValue.object(config).serialized())
        #expect(try convert("c").status == 0)
        #expect(try json("c/tokenizer_config.json")["tokenizer_class"] == "GPT2Tokenizer", "\(generation ?? "none"), \(ends)")
      }
    }
  }

  @Test func `tensors that no weight is made of are told by a build as by a refit`() throws {
    let model = Project.at("Tests/WeightSourcesTests/Expected/models/biases").string
    try Command.convert.succeed("--model_dir", model, "--output_dir", path("c"), "--dtype", "float32")
    var config = try #require(try json("c/config.json").object)
    #expect(config["attn_bias"] == true)
    #expect(try !build("c", "whole").errors.contains("in no engine weight"))
    config["attn_bias"] = false
    d.write("c/config.json", JSONValue.object(config).serialized())
    let built = try build("c", "e")
    let line = built.errors.split(separator: "\n").first { $0.contains("tensor(s) of the source are in no engine weight") }
    let said = try #require(line, "\(built.errors)")
    #expect(built.status == 0 && said.contains("rank 0: 6 tensor(s)") && said.contains("attention.") && said.contains("bias"), "\(said)")
    #expect(try text(d("e/lineage.json")).map { $0.contains("in no engine weight") } == true)
    let refitted = try refit("e", "c", "r")
    let words = said[(said.firstRange(of: "rank 0:")?.lowerBound ?? said.startIndex)...]
    #expect(refitted.status == 0 && refitted.errors.contains(words), "\(refitted.errors)")
    #expect(try build("c", "no", "--strict").status == 1 && refit("e", "c", "no", "--strict").status == 1)
    #expect(names(in: d.path)?.contains("no") == false)
  }

  @Test func `a generation_config.json that cannot be read is left out, and answers end as config.json says`() throws {
    for (index, text) in ["", #"{"eos_token_id": 79,}"#, "\u{FEFF}{}"].enumerated() {
      try makeModel()
      d.write("m/generation_config.json", text)
      let built = try build("m", "e\(index)")
      #expect(built.status == 0 && built.errors.contains("counts as absent, as in transformers"), "\(built.errors)")
      #expect(try json("e\(index)/generation_config.json")["eos_token_id"] == 2)
      #expect(try chat("e\(index)").status == 0)
      #expect(try build("m", "no", "--strict").status == 1)
    }
    // In the directory of a tokenizer.
    let asked = try chat("e0", "--tokenizer_dir", path("m"))
    #expect(asked.status == 0, "\(asked.errors)")
    // No untrue line of what is no id.
    d.write("m/generation_config.json", #"{"eos_token_id": "2"}"#)
    #expect(try !build("m", "odd").errors.contains("eos_token_id is []"))
  }
}
