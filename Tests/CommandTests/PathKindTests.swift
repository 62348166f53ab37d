import SystemPackage
import TestSupport
import Testing

/// What a path is, as the commands tell it.
@Suite(.serialized) struct PathKindTests {
  private struct Bench {
    let d = TemporaryDirectory(inMemory: true)
    init() throws {
      try Command.convert.succeed("--model_dir", Project.at("Models/tiny").string, "--output_dir", d("ck").string, "--dtype", "float32")
      try Command.build.succeed("--checkpoint_dir", d("ck").string, "--output_dir", d("e").string, "--refit_scope", "all")
    }
    func put(_ source: String, in name: String) {
      for (file, bytes) in snapshot(Project.at(source)) { d.write("\(name)/\(file)", bytes) }
    }
  }

  @Test func `refit with a model that has an adapter's files beside it takes the model, and says so`() throws {
    let bench = try Bench()
    bench.put("Models/tiny", in: "m")
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
      bench.d.write("m/\(file)", try #require(contents(Project.at("Models/tiny-lora/\(file)"))))
    }
    let refit = { (source: String, output: String) in
      try Command.refit("--engine_dir", bench.d("e").string, "--checkpoint_dir", source, "--refit_engine_dir", bench.d(output).string)
    }
    let both = try refit(bench.d("m").string, "both")
    #expect(both.status == 0 && both.errors.contains("adapter_config.json") && both.errors.contains("--lora_dir"), "\(both.errors)")
    #expect(try refit(Project.at("Models/tiny").string, "model").status == 0)
    #expect(contents(bench.d("both/rank0.engine")) == contents(bench.d("model/rank0.engine")))
    let adapter = try Command.refit(
      "--engine_dir", bench.d("e").string, "--lora_dir", bench.d("m").string, "--refit_engine_dir", bench.d("adapter").string)
    #expect(adapter.status == 0 && contents(bench.d("adapter/rank0.engine")) != contents(bench.d("model/rank0.engine")), "\(adapter.errors)")
  }

  @Test func `every command says what it was given and which takes it`() throws {
    let bench = try Bench()
    let (model, lora, checkpoint, engine, out) = (
      Project.at("Models/tiny").string, Project.at("Models/tiny-lora").string, bench.d("ck").string, bench.d("e").string, bench.d("out").string
    )
    let gguf = Project.at("Tests/WeightSourcesTests/Expected/adapters/gguf/tiny-lora.f32.gguf").string
    let cases: [(Command, [String], [String])] = [
      (.convert, ["--model_dir", gguf, "--output_dir", out], ["this is a LoRA adapter in a GGUF file", "--lora_dir"]),
      (.build, ["--checkpoint_dir", gguf, "--output_dir", out], ["this is a LoRA adapter in a GGUF file", "--lora_dir"]),
      (.prune, ["--checkpoint_dir", gguf, "--out_dir", out], ["this is a LoRA adapter in a GGUF file", "--lora_dir"]),
      (.run, ["--engine_dir", gguf, "--input_text", "x"], ["this is a LoRA adapter in a GGUF file", "trtllm-refit"]),
      (.serve, [gguf], ["this is a LoRA adapter in a GGUF file", "trtllm-refit"]),
      (.refit, ["--engine_dir", engine, "--checkpoint_dir", lora, "--base_checkpoint_dir", gguf, "--refit_engine_dir", out], ["this is a LoRA adapter in a GGUF file", "base model"]),
      (.convert, ["--model_dir", lora, "--output_dir", out], ["this is a PEFT adapter", "--lora_dir"]),
      (.convert, ["--model_dir", checkpoint, "--output_dir", out], ["this is a TensorRT-LLM checkpoint", "trtllm-build"]),
      (.convert, ["--model_dir", engine, "--output_dir", out], ["this is an engine", "trtllm-run"]),
      (.build, ["--checkpoint_dir", engine, "--output_dir", out], ["this is an engine", "checkpoint that it was built from"]),
      (.build, ["--checkpoint_dir", lora, "--output_dir", out], ["this is a PEFT adapter"]),
      (.prune, ["--checkpoint_dir", model, "--out_dir", out], ["this is a Hugging Face model", "trtllm-convert"]),
      (.prune, ["--checkpoint_dir", engine, "--out_dir", out], ["this is an engine"]),
      (.refit, ["--engine_dir", checkpoint, "--checkpoint_dir", model, "--refit_engine_dir", out], ["this is a TensorRT-LLM checkpoint", "trtllm-build"]),
      (.refit, ["--engine_dir", engine, "--lora_dir", model, "--refit_engine_dir", out], ["this is a Hugging Face model", "--checkpoint_dir"]),
      (.refit, ["--engine_dir", engine, "--checkpoint_dir", lora, "--base_checkpoint_dir", lora, "--refit_engine_dir", out], ["this is a PEFT adapter", "base model"]),
      (.run, ["--engine_dir", lora, "--input_text", "x"], ["this is a PEFT adapter", "trtllm-refit"]),
      (.run, ["--engine_dir", engine, "--tokenizer_dir", lora, "--input_text", "x"], ["no tokenizer.json here, only a PEFT adapter"]),
      (.serve, [lora], ["this is a PEFT adapter"]),
    ]
    for (command, arguments, words) in cases {
      let said = try command(arguments)
      #expect(said.status == 1, "\(command) \(arguments): \(said.errors)")
      for word in words { #expect(said.errors.contains(word), "\(word) in: \(said.errors)") }
      #expect(names(in: bench.d("out")) == nil)
    }
  }

  @Test func `refit tells every tensor of a Hugging Face directory that is wrong, under upstream's headings`() throws {
    let bench = try Bench()
    bench.put("Models/tiny", in: "m")
    var bytes = try #require(contents(bench.d("m/model.safetensors")))
    for (word, other) in [("model.norm.weight", "model.nurm.weight"), ("layers.1.mlp.up_proj", "layers.1.mlp.uq_proj")] {
      let place = try #require(bytes.indices.first { bytes[$0...].starts(with: Array(word.utf8)) })
      bytes.replaceSubrange(place..<place + word.utf8.count, with: Array(other.utf8))
    }
    bench.d.write("m/model.safetensors", bytes)
    let said = try Command.refit(
      "--engine_dir", bench.d("e").string, "--checkpoint_dir", bench.d("m").string, "--refit_engine_dir", bench.d("out").string, "--json")
    #expect(said.status == 1 && said.output.contains("refused"), "\(said.errors)")
    for words in [
      "Missing refittable weights from checkpoint (2)", "model.layers.1.mlp.up_proj.weight, model.norm.weight", "Weights that no model of this family has",
      "model.layers.1.mlp.uq_proj.weight", "model.nurm.weight", "Nothing was written",
    ] { #expect(said.errors.contains(words), "\(words) in \(said.errors)") }
  }

  @Test func `a path that leads nowhere is told with what lies beside it`() throws {
    let d = TemporaryDirectory()
    makeDirectory(d("engines/v1"))
    let wrong = d("engines/v11").string
    for said in [
      try Command.run("--engine_dir", wrong, "--input_text", "x"), try Command.serve(wrong), try Command.inspect("--engine_dir", wrong),
      try Command.refit("--engine_dir", wrong, "--strip", "--refit_engine_dir", d("out").string), try Command.build("--checkpoint_dir", wrong, "--output_dir", d("out").string),
    ] {
      #expect(said.status == 1 && said.errors.contains("\(wrong): there is no such file or directory. Did you mean '\(d("engines/v1"))'?"), "\(said.errors)")
    }
    let far = try Command.run("--engine_dir", d("engines/other").string, "--input_text", "x")
    #expect(far.status == 1 && !far.errors.contains("Did you mean"), "\(far.errors)")
  }
}
