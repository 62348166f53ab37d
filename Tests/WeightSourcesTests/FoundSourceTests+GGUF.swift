import JSON
import SystemPackage
import TestSupport
import Testing
import WeightSources

/// Several GGUF files, adapters and other models in one place.
extension FoundSourceTests {
  @Test func `an adapter in GGUF is told from the model beside it`() throws {
    let model = try #require(contents(Expected.directory.appending("models/tied.gguf")))
    let adapter = try #require(contents(GGUFAdapterTests.directory.appending("target-head.f32.gguf")))
    directory.write("d/model.gguf", model)
    directory.write("d/lora.gguf", adapter)
    let found = try FoundSource(at: directory("d"), for: .weights)
    #expect(found.kind == .gguf && found.path == directory("d/model.gguf") && found.warnings.map(\.subject) == ["lora.gguf"])
    #expect(try FoundSource(at: directory("d"), for: .adapter).path == directory("d/lora.gguf"))
    directory.write("d/other.gguf", adapter)
    #expect(try text("d", .adapter).contains("2 GGUF adapters: lora.gguf, other.gguf"))
    #expect(try FoundSource(at: directory("d"), for: .model).kind == .gguf)
    remove(directory("d/model.gguf"))
    #expect(try text("d").contains("2 GGUF adapters"))
    // Beside a model of Hugging Face, and beside the configuration of the adapter that it was made of.
    put(Self.model, in: "h")
    directory.write("h/lora.gguf", adapter)
    #expect(try FoundSource(at: directory("h"), for: .adapter).kind == .ggufAdapter)
    let beside = try FoundSource(at: directory("h"), for: .weights)
    #expect(beside.kind == .huggingFace && beside.warnings.map(\.subject) == ["lora.gguf"] && beside.warnings.allSatisfy { $0.text.contains("trtllm-refit --lora_dir puts it on an engine") })
    directory.write("h/second.gguf", adapter)
    directory.write("h/model.gguf", model)
    #expect(try FoundSource(at: directory("h"), for: .weights).warnings.map(\.subject) == ["model.gguf", "lora.gguf", "second.gguf"])
    #expect(try text("h", .adapter).contains("2 GGUF adapters: lora.gguf, second.gguf"))
    put(Self.adapter, in: "p")
    directory.write("p/lora.gguf", adapter)
    #expect(try FoundSource(at: directory("p")).kind == .adapter)
    remove(directory("p/adapter_model.safetensors"))
    #expect(try FoundSource(at: directory("p")).path == directory("p/lora.gguf"))
  }

  @Test func `a tokenizer beside an adapter in GGUF is told as left out`() throws {
    let adapter = try #require(contents(GGUFAdapterTests.directory.appending("target-head.f32.gguf")))
    directory.write("g/lora.gguf", adapter)
    #expect(try FoundSource(at: directory("g")).warnings.isEmpty)
    for file in ["tokenizer.json", "chat_template.jinja"] { directory.write("g/\(file)", "{}") }
    for role in [SourceRole.weights, .adapter] {
      #expect(try Set(FoundSource(at: directory("g"), for: role).warnings.map(\.subject)) == ["tokenizer.json", "chat_template.jinja"])
    }
    put(Self.model, in: "h")
    directory.write("h/lora.gguf", adapter)
    directory.write("h/tokenizer.json", "{}")
    #expect(try FoundSource(at: directory("h"), for: .adapter).warnings.isEmpty, "it is the model's")
  }

  @Test func `of many GGUF files no more is read than what they say they are`() throws {
    let model = try #require(contents(Expected.directory.appending("models/tied.gguf")))
    let adapter = try #require(contents(GGUFAdapterTests.directory.appending("target-head.f32.gguf")))
    // All that stands after the architecture and the type is gone.
    var cut = GGUFBytes()
    cut.start(tensors: 0, values: 3)
    cut.value("general.architecture", text: "llama")
    let untyped = cut
    cut.value("general.type", text: "adapter")
    let typed = cut.bytes + [UInt8](repeating: 0xFF, count: 64)
    directory.write("d/model.gguf", model)
    for index in 0..<70 { directory.write("d/lora-\(index).gguf", typed) }
    let found = try FoundSource(at: directory("d"), for: .weights)
    #expect(found.kind == .gguf && found.path == directory("d/model.gguf") && found.warnings.count == 10)
    #expect(try text("d", .adapter).contains("70 GGUF adapters"))
    // A vocabulary is not read.
    var words = untyped
    words.value("tokenizer.ggml.model", text: "gpt2")
    for name in ["one", "two"] { directory.write("m/\(name).gguf", words.bytes + [UInt8](repeating: 0xFF, count: 64)) }
    #expect(try text("m").contains("2 GGUF models: one.gguf, two.gguf"))
    // What is damaged before it says so is named, and is neither.
    directory.write("b/model.gguf", model)
    directory.write("b/bad.gguf", Array(adapter.prefix(30)))
    #expect(try FoundSource(at: directory("b"), for: .weights).warnings.map(\.subject) == ["bad.gguf"])
    directory.write("b/second.gguf", model)
    let said = try text("b")
    #expect(said.contains("2 GGUF models") && said.contains("bad.gguf cannot be read"), "\(said)")
    for name in ["one", "two"] { directory.write("c/\(name).gguf", Array(adapter.prefix(30))) }
    #expect(try text("c").contains("one.gguf, two.gguf cannot be read"))
    // Without a type, as files were written before there was one.
    directory.write("old/model.gguf", model)
    directory.write("old/lora.gguf", GGUFAdapterTests.file(["general.architecture": .text("llama")], tensors: GGUFAdapterTests.pair()))
    #expect(try FoundSource(at: directory("old")).warnings.map(\.subject) == ["lora.gguf"])
  }

  @Test func `every file that is opened beside one that is named is listed`() throws {
    directory.write("a/x.gguf", "GGUF")
    #expect(GGUFFile.files(of: directory("a/x.gguf")) == [directory("a/x.gguf")])
    directory.write("a/adapter_config.json", "{}")
    #expect(GGUFFile.files(of: directory("a/x.gguf")) == [directory("a/x.gguf"), directory("a/adapter_config.json")])
    #expect(GGUFFile.parts(of: directory("a/x.gguf")) == [directory("a/x.gguf")])
    directory.write("m/config.json", "{}")
    directory.write("m/model.safetensors", "x")
    #expect(Set(GGUFFile.files(of: directory("m/model.safetensors"))) == [directory("m/model.safetensors"), directory("m/config.json")])
    #expect(GGUFFile.files(of: directory("m")) == [directory("m")])
  }

  @Test func `another model beside the one that is read is told`() throws {
    // A GGUF file of another model.
    put(Self.model, in: "m")
    directory.write("m/o.gguf", try #require(contents(Expected.directory.appending("models/tied.gguf"))))
    for role in [SourceRole.model, .build, .weights, .run] {
      let warnings = try FoundSource(at: directory("m"), for: role).warnings
      #expect(warnings.map(\.subject) == ["o.gguf"] && warnings[0].text.contains("is a model, too, and was left out"), "\(role): \(warnings)")
    }
    // One file beside a whole set, and a file beside it that no index names.
    let bytes = try #require(contents(Expected.directory.appending("models/tied/model.safetensors")))
    put(Expected.directory.appending("models/tied"), in: "s")
    for name in ["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
      directory.write("s/\(name)", try #require(contents(Self.model.appending(name))))
    }
    let single = try ModelSource(directory("s")).warnings
    #expect(single.map(\.subject) == ["model-00001-of-00002.safetensors"], "\(single)")
    #expect(single.first?.text.contains("and 1 more files hold weights, too, and were left out") == true && single.first?.text.contains("model.safetensors counts") == true)
    put(Self.model, in: "i")
    directory.write("i/other.safetensors", bytes)
    #expect(try ModelSource(directory("i")).warnings.map(\.subject) == ["other.safetensors"])
    // Not what belongs to other commands and programs.
    put(Self.model, in: "o")
    for name in ["adapter_model.safetensors", "consolidated.safetensors", "optimizer.safetensors"] { directory.write("o/\(name)", bytes) }
    #expect(try ModelSource(directory("o")).warnings.isEmpty)
  }

  @Test func `a main revision that is not there is told where the only other is read`() throws {
    put(Self.model, in: "models--a--b/snapshots/111")
    directory.write("models--a--b/refs/main", "222\n")
    let found = try FoundSource(at: directory("models--a--b"), for: .model)
    #expect(found.path == directory("models--a--b/snapshots/111"))
    #expect(found.warnings.map(\.subject) == ["refs/main"] && found.warnings[0].text.contains("222"), "\(found.warnings)")
    put(Self.model, in: "models--a--b/snapshots/333")
    #expect(try text("models--a--b").contains("refs/main names none of them"))
  }

  @Test(arguments: [
    ["m.gguf.part1of2", "m.gguf.part2of2"], ["m.gguf-split-a", "m.gguf-split-b"], ["m.gguf.part-aa", "m.gguf.part-ab"], ["m.gguf.001", "m.gguf.002"],
    ["m.GGUF.partaa", "m.GGUF.partab"],
  ]) func `pieces that cat puts together are called that, with the command`(names: [String]) throws {
    let whole = try #require(contents(Expected.directory.appending("models/tied.gguf")))
    for (name, bytes) in zip(names, [whole.prefix(1000), whole.dropFirst(1000)]) { directory.write("p/\(name)", Array(bytes)) }
    for path in ["p"] + names.map({ "p/\($0)" }) {
      let said = try text(path, .model)
      #expect(said.contains("cat \(names[0]) \(names[1]) > \(names[0].prefix(6))"), "\(said)")
    }
    remove(directory("p/\(names[1])"))
    #expect(try text("p/\(names[0])", .model).contains("ownload the"))
  }

  @Test func `pieces stand in the order of their numbers`() throws {
    for index in (1...12).shuffled() { directory.write("p/m.gguf.part\(index)of12", "x") }
    #expect(try text("p").contains("m.gguf.part1of12, m.gguf.part2of12, m.gguf.part3of12"))
    #expect(try text("p").contains("cat $(ls -v m.gguf.part*) > m.gguf"))
    remove(directory("p/m.gguf.part7of12"))
    #expect(try text("p").contains("of which there should be 12"))
  }

  @Test func `a GGUF file in capitals is one in its directory, too`() throws {
    directory.write("d/A.GGUF", try #require(contents(Expected.directory.appending("models/tied.gguf"))))
    #expect(try FoundSource(at: directory("d"), for: .model).path == directory("d/A.GGUF"))
    #expect(try ModelSource(directory("d")).gguf != nil)
  }
}
