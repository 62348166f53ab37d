import JSON
import SystemPackage
import TestSupport
import Testing

import WeightSources

/// What a path holds, told from everything that is there.
struct FoundSourceTests {
  let directory = TemporaryDirectory()
  static let model = Expected.directory.appending("models/biases")
  static let adapter = Expected.directory.appending("adapters/plain")

  /// Copies a directory's files into `name`.
  func put(_ source: FilePath, in name: String, without: Set<String> = []) {
    for (file, bytes) in snapshot(source) where !without.contains(file) { directory.write("\(name)/\(file)", bytes) }
  }
  func text(_ name: String, _ role: SourceRole = .any) throws -> String {
    let text = try #require(message { _ = try FoundSource(at: directory(name), for: role) })
    #expect(text.split(separator: "\n").allSatisfy { $0.count <= 300 }, "\(text)")
    return text
  }

  @Test func `a model with an adapter beside it is the model, and the adapter is told of`() throws {
    put(Self.model, in: "m")
    put(Self.adapter, in: "m", without: ["config.json"])
    for role in [SourceRole.any, .model, .weights, .base, .build] {
      let found = try FoundSource(at: directory("m"), for: role)
      #expect(found.kind == .huggingFace && found.warnings.map(\.subject) == ["adapter_config.json"], "\(role)")
      #expect(found.warnings[0].description.contains("trtllm-refit --lora_dir puts it on an engine"))
    }
    #expect(try FoundSource(at: directory("m"), for: .adapter).kind == .adapter)
    #expect(try ModelSource(directory("m")).warnings.contains { $0.subject == "adapter_config.json" })
  }

  @Test func `a part of no parts is no part`() throws {
    directory.write("none/config.json", "{}")
    directory.write("none/model-00001-of-00000.safetensors", [])
    #expect(throws: (any Error).self) { _ = try ModelSource(directory("none")) }
    #expect(throws: (any Error).self) { _ = try ModelSource(directory(".")) }
  }

  @Test func `an adapter with a configuration, a tokenizer or trainer's states beside it is an adapter`() throws {
    put(Self.adapter, in: "a")
    directory.write("a/config.json", contents(Self.model.appending("config.json")) ?? [])
    directory.write("a/tokenizer.json", "{}")
    put(Self.adapter, in: "a/checkpoint-10")
    let found = try FoundSource(at: directory("a"), for: .weights)
    #expect(found.kind == .adapter && found.warnings.isEmpty)
    // The index of a base whose files are elsewhere makes no model.
    directory.write("a/model.safetensors.index.json", contents(Self.model.appending("model.safetensors.index.json")) ?? [])
    #expect(try FoundSource(at: directory("a"), for: .weights).kind == .adapter)
  }

  @Test func `part of a model beside an adapter is no adapter alone`() throws {
    put(Self.model, in: "half", without: ["model.safetensors.index.json", "model-00002-of-00002.safetensors"])
    put(Self.adapter, in: "half", without: ["config.json"])
    for role in [SourceRole.any, .weights, .model] {
      let said = try text("half", role)
      #expect(said.contains("model-00002-of-00002.safetensors is missing") && said.contains("--lora_dir"), "\(said)")
    }
    #expect(try FoundSource(at: directory("half"), for: .adapter).kind == .adapter)
    // An index without any of its files may be left of the base: the adapter is taken, and it is said.
    put(Self.model, in: "index", without: ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"])
    put(Self.adapter, in: "index", without: ["config.json"])
    let found = try FoundSource(at: directory("index"), for: .weights)
    #expect(found.kind == .adapter && found.warnings.map(\.subject) == ["model.safetensors.index.json"])
    #expect(try FoundSource(at: directory("index"), for: .adapter).warnings.isEmpty)
  }

  @Test(arguments: ["value_head", "new_embeddings", "non_lora_trainables", "training_state", "lora_backup", "model"])
  func `files beside an adapter that hold no layers of a model are no model`(name: String) throws {
    put(Self.adapter, in: "a")
    directory.write("a/config.json", contents(Self.model.appending("config.json")) ?? [])
    let tensor = name == "lora_backup" ? "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight" : "v_head.summary.weight"
    let header = #"{"\#(tensor)":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
    directory.write("a/\(name).safetensors", [UInt8(header.utf8.count), 0, 0, 0, 0, 0, 0, 0] + Array(header.utf8) + [UInt8](repeating: 0, count: 8))
    for role in [SourceRole.any, .weights, .adapter] {
      let found = try FoundSource(at: directory("a"), for: role)
      #expect(found.kind == .adapter && found.warnings.map(\.subject) == ["\(name).safetensors"], "\(role): \(found.warnings)")
    }
    // Several of them are no choice among models, and one with layers is a model, whatever its name.
    directory.write("a/other.safetensors", contents(directory("a/\(name).safetensors")) ?? [])
    #expect(try FoundSource(at: directory("a"), for: .weights).kind == .adapter)
    directory.write("a/merged.safetensors", contents(Expected.directory.appending("models/tied/model.safetensors")) ?? [])
    #expect(try FoundSource(at: directory("a"), for: .weights).kind == .huggingFace)
  }

  @Test(arguments: [
    (["adapter_model.safetensors.index.json", "adapter_model-00001-of-00002.safetensors"], "several files"), (["adapter_model.fp16.safetensors"], "another name"),
    (["0000100_adapters.safetensors", "0000200_adapters.safetensors"], "0000200_adapters.safetensors"), (["pytorch_lora_weights.safetensors"], "pytorch_lora_weights"),
    (["zero_to_fp32.py", "global_step10/states.pt"], "DeepSpeed checkpoint (global_step10)"), (["notes.txt"], "no adapter_model.safetensors"),
    (["adapter_model.safetensors.incomplete"], "unfinished download"),
  ])
  func `an adapter's weights that are there in another form are named`(files: [String], words: String) throws {
    directory.write("a/adapter_config.json", "{}")
    for file in files { directory.write("a/\(file)", "x") }
    for role in [SourceRole.weights, .adapter] { #expect(try text("a", role).contains(words)) }
  }

  @Test(arguments: [
    (["global_step500/zero.pt", "latest", "zero_to_fp32.py"], "a DeepSpeed checkpoint only (global_step500)", "python zero_to_fp32.py . OUTPUT --safe_serialization"),
    (["pytorch_model_fsdp_0/__0_0.distcp"], "shards of FSDP only (pytorch_model_fsdp_0)", "accelerate merge-weights pytorch_model_fsdp_0 OUTPUT"),
    (["__0_0.distcp", ".metadata"], "shards of FSDP only (__0_0.distcp)", "accelerate merge-weights . OUTPUT"),
    (["model.safetensors?download=true"], "the end of an address", "Rename the files"), (["._____temp/model.safetensors"], "download is not finished", "Finish the download"),
    (["model.safetensors.zip"], "packed (model.safetensors.zip)", "Unpack them"), (["._model.safetensors"], "no weights beside it", "Download"),
  ])
  func `a model's weights that are there in another form are named`(files: [String], words: String, remedy: String) throws {
    directory.write("m/config.json", #"{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}"#)
    for file in files { directory.write("m/\(file)", "x") }
    let said = try text("m", .model)
    #expect(said.contains(words) && said.contains(remedy), "\(said)")
  }

  @Test func `what macOS keeps beside a file is no file of the model's`() throws {
    put(Self.model, in: "m", without: ["model.safetensors.index.json"])
    put(Self.model, in: "plain", without: ["model.safetensors.index.json"])
    for name in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "config.json", "m.gguf", "adapter_model.safetensors"] {
      directory.write("m/._\(name)", [0, 5, 22, 7, 0, 2, 0, 0])
    }
    let (found, plain) = try (FoundSource(at: directory("m")), FoundSource(at: directory("plain")))
    #expect(found.kind == .huggingFace && found.warnings.count == plain.warnings.count)
    #expect(try ModelSource(directory("m")).warnings.count == ModelSource(directory("plain")).warnings.count)
  }

  @Test func `what is said of a directory names it once`() throws {
    put(Self.model, in: "m")
    put(Self.adapter, in: "m", without: ["config.json"])
    directory.write("m/quantize_config.json", #"{"bits": 4}"#)
    let warnings = try ModelSource(directory("m")).warnings
    for name in ["adapter_config.json", "quantize_config.json"] {
      let warning = try #require(warnings.first { $0.subject == name }?.placed(in: directory("m").string))
      #expect(warning.place == directory("m").string, "\(warning)")
    }
  }

  @Test func `an adapter's links that lead to nothing, and what is no file, are told as that`() throws {
    directory.write("models--a--b/snapshots/111/x", "x")
    directory.write("models--a--b/refs/main", "111")
    for name in ["adapter_config.json", "adapter_model.safetensors"] { makeSymbolicLink(directory("models--a--b/snapshots/111/\(name)"), to: FilePath("../../blobs/\(name)")) }
    directory.write("models--a--b/blobs/adapter_config.json", "{}")
    #expect(try text("models--a--b").contains("adapter_model.safetensors is a link that leads to nothing"))
    remove(directory("models--a--b/blobs/adapter_config.json"))
    #expect(try text("models--a--b").contains("adapter_config.json, adapter_model.safetensors are links that lead to nothing"))
    directory.write("p/adapter_config.json", "{}")
    makeDirectory(directory("p/adapter_model.safetensors"))
    #expect(try text("p").contains("adapter_model.safetensors is no regular file"))
  }

  @Test func `a model beside an adapter's configuration alone is not told to be adapted`() throws {
    put(Self.model, in: "m")
    directory.write("m/adapter_config.json", "{}")
    let warning = try #require(FoundSource(at: directory("m"), for: .model).warnings.first)
    #expect(warning.subject == "adapter_config.json" && warning.text.contains("whose weights are not here") && !warning.text.contains("--lora_dir"))
  }

  @Test func `files of llama.cpp from before GGUF are called that`() throws {
    for (start, words) in [("algg", "convert_lora_to_gguf.py"), ("tjgg", "before GGUF"), ("lmgg", "before GGUF")] {
      directory.write("old/ggla.bin", Array(start.utf8) + [1, 0, 0, 0])
      let said = try text("old/ggla.bin")
      #expect(said.contains(words) && !said.contains("one file of"), "\(said)")
    }
  }

  @Test func `no line about a path is long, whatever the path`() throws {
    let deep = (0..<6).map { _ in String(repeating: "x", count: 60) }.joined(separator: "/")
    _ = try text(deep)
    directory.write("\(deep)/adapter_config.json", "{}")
    _ = try text(deep)
    directory.write("\(deep)/y.bin", "whatever")
    _ = try text("\(deep)/y.bin")
    #expect(SourceWarning("k", in: directory(deep).string, String(repeating: "w", count: 400)).description.count <= 300)
  }

  @Test func `a trainer's output says which of its directories hold what`() throws {
    put(Self.adapter, in: "out/checkpoint-10")
    put(Self.model, in: "out/checkpoint-20")
    directory.write("out/runs/events.out", "x")
    let several = try text("out")
    #expect(several.contains("checkpoint-10 (PEFT adapter), checkpoint-20 (Hugging Face model)"))
    remove(directory("out/checkpoint-10"))
    #expect(try text("out").contains("Name it: \(directory("out/checkpoint-20"))"))
    // An adapter's configuration alone, as a trainer leaves it that kept only states.
    put(Self.adapter, in: "out2/checkpoint-10")
    directory.write("out2/adapter_config.json", "{}")
    #expect(try text("out2").contains("There is an adapter in checkpoint-10"))
  }

  @Test func `parts without an index are read where all are there, and are named where some are not`() throws {
    put(Self.model, in: "m", without: ["model.safetensors.index.json"])
    let whole = try ModelSource(Self.model), parts = try ModelSource(directory("m"))
    #expect(Set(parts.tensors.names) == Set(whole.tensors.names))
    for name in whole.tensors.names { #expect(try parts.tensors.bytes(of: name) == whole.tensors.bytes(of: name)) }
    remove(directory("m/model-00001-of-00002.safetensors"))
    #expect(try text("m", .model).contains("model-00001-of-00002.safetensors is missing"))
  }

  @Test func `one file under another name is read with a warning, of several one must be chosen`() throws {
    put(Expected.directory.appending("models/tied"), in: "v", without: ["model.safetensors"])
    let bytes = try #require(contents(Expected.directory.appending("models/tied/model.safetensors")))
    for name in ["model.fp16.safetensors", "weights.safetensors"] {
      directory.write("v/\(name)", bytes)
      let source = try ModelSource(directory("v"))
      #expect(source.warnings.map(\.subject) == [name] && source.tensors.names.count > 10)
      remove(directory("v/\(name)"))
    }
    for name in ["model.fp16.safetensors", "model.bf16.safetensors"] { directory.write("v/\(name)", bytes) }
    let several = try text("v")
    #expect(several.contains("model.bf16.safetensors, model.fp16.safetensors") && several.contains("Keep one"))
    // transformers' key for weights under another name.
    var config = try #require(try JSONValue(parsing: contents(directory("v/config.json")) ?? []).object)
    config["transformers_weights"] = "model.bf16.safetensors"
    directory.write("v/config.json", JSONValue.object(config).serialized())
    #expect(try ModelSource(directory("v")).warnings.isEmpty)
  }

  @Test func `an index of a variant is read`() throws {
    put(Self.model, in: "v", without: ["model.safetensors.index.json"])
    directory.write("v/model.safetensors.index.fp16.json", contents(Self.model.appending("model.safetensors.index.json")) ?? [])
    #expect(try ModelSource(directory("v")).warnings.map(\.subject) == ["model.safetensors.index.fp16.json"])
  }

  @Test(arguments: [
    ("consolidated.safetensors", "author's own names"), ("consolidated.00.pth", "author's own names"), ("pytorch_model.bin", "run code"),
    ("tf_model.h5", "TensorFlow"), ("flax_model.msgpack", "Flax"), ("model.onnx", "ONNX"), ("weights.npz", "MLX"), ("rust_model.ot", "Rust"),
    ("model.safetensors.incomplete", "not finished"), ("model.safetensors.part", "not finished"), ("model-00001-of-00002.safetensors.crdownload", "not finished"),
    ("model.gguf.aria2", "not finished"), (".cache/huggingface/download/x.abc.incomplete", "not finished"), ("adapter_model.safetensors", "no adapter_config.json"),
    ("tokenizer.json", "no weights"), ("notes.txt", "notes.txt"),
  ])
  func `what is there in place of weights is named`(file: String, words: String) throws {
    directory.write("d/config.json", "{}")
    directory.write("d/\(file)", "x")
    if file == "notes.txt" || file == "tokenizer.json" { remove(directory("d/config.json")) }
    #expect(try text("d").contains(words))
  }

  @Test func `links that lead to nothing are told`() throws {
    directory.write("d/config.json", "{}")
    makeSymbolicLink(directory("d/model.safetensors"), to: "../blobs/0123")
    #expect(try text("d").contains("model.safetensors is a link that leads to nothing"))
  }

  @Test func `Hugging Face's cache leads to the snapshot of its main revision`() throws {
    put(Self.model, in: "models--a--b/snapshots/111")
    put(Self.model, in: "models--a--b/snapshots/222")
    directory.write("models--a--b/blobs/x", "x")
    #expect(try text("models--a--b").contains("2 snapshots"))
    directory.write("models--a--b/refs/main", "222\n")
    let found = try FoundSource(at: directory("models--a--b"), for: .model)
    #expect(found.path == directory("models--a--b/snapshots/222") && found.kind == .huggingFace)
    remove(directory("models--a--b/refs"))
    remove(directory("models--a--b/snapshots/111"))
    #expect(try FoundSource(at: directory("models--a--b")).path == directory("models--a--b/snapshots/222"))
    #expect(try text("models--a--b/snapshots").contains("cache"))
    #expect(try text(".").contains("models--a--b"))
  }

  @Test func `config.json decides where files of two kinds lie together`() throws {
    put(Self.model, in: "m")
    directory.write("m/rank0.safetensors", "x")
    let model = try FoundSource(at: directory("m"))
    #expect(model.kind == .huggingFace && model.warnings.map(\.subject) == ["rank0.safetensors"])
    directory.write("m/config.json", #"{"architecture": "LlamaForCausalLM", "mapping": {"world_size": 1}}"#)
    #expect(try FoundSource(at: directory("m")).kind == .checkpoint)
    directory.write("m/config.json", #"{"pretrained_config": {}}"#)
    #expect(try FoundSource(at: directory("m")).kind == .engine, "its rank files are missing, which its reader says")
  }

  @Test func `a Git LFS pointer is called that, whichever file it stands for`() throws {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    for file in ["config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors"] {
      let place = "p-\(file)"
      put(Self.model, in: place)
      directory.write("\(place)/\(file)", pointer)
      let said = try #require(message { _ = try ModelSource(directory(place)) })
      #expect(said.contains(file) && said.contains("git lfs pull"), "\(said)")
    }
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
      put(Self.adapter, in: "a-\(file)")
      directory.write("a-\(file)/\(file)", pointer)
      let said = try #require(message { _ = try LoRAAdapter(directory: directory("a-\(file)")) })
      #expect(said.contains(file) && said.contains("git lfs pull"), "\(said)")
    }
    directory.write("x.gguf", pointer)
    #expect(try text("x.gguf").contains("git lfs pull"))
  }

  @Test func `a weights file that is something else says what it is`() throws {
    put(Expected.directory.appending("models/tied"), in: "m")
    for (bytes, words) in [
      ("", "empty"), ("<!DOCTYPE html><html><body>404", "web page"), ("Entry not found: the repository", "it is text"),
      (String(repeating: "\0", count: 64), "zeros"), ("PK\u{3}\u{4}aaaaaaaaaaaa", "zip archive"),
    ] {
      directory.write("m/model.safetensors", bytes)
      let said = try #require(message { _ = try ModelSource(directory("m")) })
      #expect(said.contains(words) && said.contains("model.safetensors"), "\(said)")
    }
    directory.write("m/model.safetensors", contents(Expected.directory.appending("models/tied/model.safetensors")) ?? [])
    directory.write("m/model.safetensors.aria2", "x")
    #expect(try #require(message { _ = try ModelSource(directory("m")) }).contains("model.safetensors.aria2"))
  }

  @Test func `weights that a side file alone calls quantised are refused with its name`() throws {
    put(Expected.directory.appending("models/tied"), in: "q")
    // A file left over beside plain weights changes nothing.
    directory.write("q/quantize_config.json", #"{"bits": 4, "quant_method": "gptq"}"#)
    _ = try ModelSource(directory("q"))
    let header = #"{"model.layers.0.mlp.up_proj.qweight":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}"#
    let size = UInt8(header.utf8.count)
    directory.write("q/model.safetensors", [size, 0, 0, 0, 0, 0, 0, 0] + Array(header.utf8) + [UInt8](repeating: 0, count: 8))
    let said = try #require(message { _ = try ModelSource(directory("q")) })
    #expect(said.contains("gptq, says quantize_config.json") && said.contains("up_proj.qweight"), "\(said)")
  }

  @Test func `a file in the place of its directory is told with the directory`() throws {
    put(Self.model, in: "m")
    put(Self.adapter, in: "a")
    #expect(try text("m/config.json").contains("one file of a Hugging Face model. Name the directory, \(directory("m"))"))
    #expect(try text("a/adapter_model.safetensors").contains("one file of a PEFT adapter. Name the directory, \(directory("a"))"))
    #expect(try text("m/model-00001-of-00002.safetensors").contains("Name the directory"))
    directory.write("d/x.gguf.part", "GGU")
    #expect(try text("d/x.gguf.part").contains("unfinished"))
    directory.write("d/x.bin", "whatever else")
    #expect(try text("d/x.bin").contains("Name the directory"))
  }

  @Test func `a model's name on a server is no path, and what to do is said`() {
    let said = message { _ = try FoundSource(at: "some-org/some-model") }
    #expect(said?.contains("hf download some-org/some-model") == true)
    for address in ["https://huggingface.co/some-org/some-model", "https://hf.co/some-org/some-model/tree/main", "hf://some-org/some-model"] {
      let said = message { _ = try FoundSource(at: FilePath(address)) }
      #expect(said?.contains("hf download some-org/some-model'") == true, "\(said ?? "")")
    }
    #expect(message { _ = try FoundSource(at: "https://example.org/m.gguf") }?.contains("Download it") == true)
    // Where no model is wanted, and for a file, it would not help.
    for (path, role) in [("some-org/some-model", SourceRole.engine), ("some-org/some-model", .checkpoint), ("models/m.gguf", .any), ("a/rank0.engine", .run)] {
      let other = message { _ = try FoundSource(at: FilePath(path), for: role) }
      #expect(other?.contains(path) == true && other?.contains("hf download") == false, "\(other ?? "")")
    }
  }

  /// What may be named where; a GGUF model wherever one of Hugging Face may, an adapter of either form alike.
  static let taken: [SourceRole: [WeightSourceKind]] = [
    .any: WeightSourceKind.allCases, .model: [.huggingFace, .gguf], .checkpoint: [.checkpoint], .build: [.checkpoint, .huggingFace, .gguf],
    .weights: WeightSourceKind.allCases, .base: [.checkpoint, .huggingFace, .gguf, .engine], .adapter: [.adapter, .ggufAdapter],
    .run: [.engine, .checkpoint, .huggingFace, .gguf], .engine: [.engine],
  ]

  @Test(arguments: SourceRole.allCases) func `every role says what was found and who takes it`(role: SourceRole) throws {
    put(Self.model, in: "huggingFace")
    put(Self.adapter, in: "adapter")
    directory.write("checkpoint/rank0.safetensors", "x")
    directory.write("engine/rank0.engine", "x")
    directory.write("gguf/model.gguf", try #require(contents(Expected.directory.appending("models/tied.gguf"))))
    directory.write("ggufAdapter/lora.gguf", try #require(contents(GGUFAdapterTests.directory.appending("target-head.f32.gguf"))))
    for kind in WeightSourceKind.allCases {
      let path = directory(kind.rawValue)
      guard Self.taken[role]?.contains(kind) == false else {
        #expect(try FoundSource(at: path, for: role).kind == kind)
        continue
      }
      let said = try text(kind.rawValue, role)
      #expect(said.contains("this is \(kind == .engine ? "an" : "a") \(kind.name)") && said.contains("trtllm-") || said.contains("name a base model"), "\(said)")
    }
  }
}
