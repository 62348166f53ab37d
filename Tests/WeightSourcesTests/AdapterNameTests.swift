import Checkpoints
import Files
import JSON
import Safetensors
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// Adapters whose tensors another program named, and everything that can be wrong with one, told together.
struct AdapterNameTests {
  let life = TemporaryDirectory()
  static let wrapped: [(String, String, @Sendable (String) -> String)] = [
    ("the adapter's name", "'default'", { $0.replacing(".weight", with: ".default.weight") }),
    ("no prefix", "no 'base_model.model.'", { $0.replacing("base_model.model.", with: "") }),
    ("a model without its head", "no 'model.'", { $0.replacing("base_model.model.model.", with: "base_model.model.") }),
    ("neither", "no 'model.'", { $0.replacing("base_model.model.model.", with: "") }),
    ("a model with pictures", "language_model", { $0.replacing("base_model.model.model.", with: "base_model.model.model.language_model.") }),
    ("an older one", "language_model", { $0.replacing("base_model.model.", with: "base_model.model.language_model.") }),
    ("compiled inside", "torch.compile", { $0.replacing("base_model.model.", with: "base_model.model._orig_mod.") }),
    ("compiled outside", "torch.compile", { "_orig_mod." + $0 }),
    ("sharded", "FSDP", { $0.replacing("self_attn", with: "_fsdp_wrapped_module.self_attn").replacing("mlp", with: "_fsdp_wrapped_module.mlp") }),
    ("sharded outside", "FSDP", { "_fsdp_wrapped_module." + $0 }),
    ("activation checkpoints", "activation", { $0.replacing("mlp", with: "mlp._checkpoint_wrapped_module") }),
    ("wrapped twice", "once more", { $0.replacing("base_model.model.", with: "base_model.model.base_model.model.") }),
    ("a module around", "around the model", { $0.replacing("base_model.model.", with: "base_model.model.model.") }),
    ("DeepSpeed", "DeepSpeed", { "module." + $0 }),
    ("a value head's model", "TRL", { $0.replacing("base_model.model.", with: "base_model.model.pretrained_model.") }),
  ]

  func adapted(_ directory: FilePath? = nil, _ mapping: Mapping = Mapping()) throws -> AdaptedWeights {
    let base = try AdapterTests.base(mapping)
    return try AdaptedWeights(base: base, adapter: LoRAAdapter(directory: directory ?? life.path), layout: base.layout)
  }
  /// `plain` with other names; nil leaves a tensor out.
  func rename(_ name: (String) -> String) throws {
    let plain = AdapterTests.adapters.appending("plain")
    let file = try SafetensorsFile(plain.appending("adapter_model.safetensors"))
    try write(
      file.names.map { original in
        let description = try file.entry(original).description
        let bytes = try file.file.bytes(file.header.dataStart + file.entry(original).range.lowerBound..<file.header.dataStart + file.entry(original).range.upperBound)
        return (name(original), description.shape, floats(bytes, description.elementType))
      })
    life.write("adapter_config.json", try #require(contents(plain.appending("adapter_config.json"))))
  }
  func write(_ tensors: [(name: String, shape: [Int], values: [Float])], to file: String = "adapter_model.safetensors") {
    var header = JSONObject()
    var data: [UInt8] = []
    for (name, shape, values) in tensors {
      header[name] = ["dtype": "F32", "shape": .ints(shape), "data_offsets": .ints([data.count, data.count + values.count * 4])]
      for value in values { data += (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
    }
    var text = Array(JSONValue.object(header).serialized().utf8)
    text += [UInt8](repeating: 0x20, count: (8 - text.count % 8) % 8)
    life.write(file, (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text + data)
  }
  func zeros(_ shapes: [(String, [Int])]) { write(shapes.map { ($0.0, $0.1, [Float](repeating: 0, count: $0.1.reduce(1, *))) }) }
  func problems() throws -> [AdapterProblem] {
    let error = #expect(throws: AdapterError.self) { _ = try adapted() }
    for line in "\(error.map { "\($0)" } ?? "")".split(separator: "\n") { #expect(line.count <= 300, "\(line)") }
    return error?.problems ?? []
  }
  func same(_ one: AdaptedWeights, _ other: AdaptedWeights) throws {
    for name in other.names(rank: 0) { #expect(try one.bytes(of: name, rank: 0) == other.bytes(of: name, rank: 0), "\(name)") }
  }

  @Test(arguments: wrapped.indices) func `a wrapper that hands everything on is seen through, and named`(index: Int) throws {
    let (_, word, change) = Self.wrapped[index]
    try rename(change)
    let found = try adapted()
    #expect(found.warnings.count == 1 && found.warnings.allSatisfy { $0.description.contains(word) && $0.description.count <= 300 }, "\(found.warnings)")
    try same(found, adapted(AdapterTests.adapters.appending("plain")))
  }
  @Test func `PEFT's own names give no warning`() throws {
    #expect(try adapted(AdapterTests.adapters.appending("plain")).warnings.isEmpty)
  }
  @Test func `factors without the word weight are read`() throws {
    try rename { $0.replacing(".weight", with: "") }
    try same(adapted(), adapted(AdapterTests.adapters.appending("plain")))
  }
  @Test func `mlx-lm's adapters are PEFT's, transposed`() throws {
    let file = try SafetensorsFile(AdapterTests.adapters.appending("plain/adapter_model.safetensors"))
    try write(
      file.names.map { name in
        let shape = try file.entry(name).description.shape
        let range = try file.entry(name).range
        let values = floats(try file.file.bytes(file.header.dataStart + range.lowerBound..<file.header.dataStart + range.upperBound), .float32)
        let turned = (0..<values.count).map { values[$0 % shape[0] * shape[1] + $0 / shape[0]] }
        let path = name.replacing("base_model.model.", with: "").replacing(".lora_A.weight", with: ".lora_a").replacing(".lora_B.weight", with: ".lora_b")
        return (path, [shape[1], shape[0]], turned)
      }, to: "adapters.safetensors")
    life.write("adapter_config.json", #"{"fine_tune_type": "lora", "num_layers": 2, "lora_parameters": {"rank": 3, "scale": 2.0, "dropout": 0.0}}"#)
    try same(adapted(), adapted(AdapterTests.adapters.appending("plain")))
    life.write("adapter_config.json", #"{"lora_parameters": {"rank": 3, "scale": 2.0, "alpha": 16}}"#)
    #expect(try problems().contains { $0.detail.contains("alpha") })
  }
  @Test func `an embedding table of mlx-lm is not transposed`() throws {
    write(
      [
        ("model.embed_tokens.lora_a", [22, 1], (0..<22).map { Float($0) }), ("model.embed_tokens.lora_b", [1, 16], [Float](repeating: 1, count: 16)),
      ], to: "adapters.safetensors")
    life.write("adapter_config.json", #"{"fine_tune_type": "lora", "lora_parameters": {"rank": 1, "scale": 1.0}}"#)
    let found = try adapted()
    let (ours, base) = (
      floats(try found.bytes(of: "transformer.vocab_embedding.weight", rank: 0), .float32), floats(try found.base.bytes(of: "transformer.vocab_embedding.weight", rank: 0), .float32)
    )
    #expect(zip(ours, base).enumerated().allSatisfy { index, pair in abs(pair.0 - pair.1 - Float(index / 16)) < 1e-4 })
  }

  @Test func `a value head beside the factors is left out, and told`() throws {
    let plain = AdapterTests.adapters.appending("plain")
    let file = try SafetensorsFile(plain.appending("adapter_model.safetensors"))
    try write(
      file.names.map { name in
        let entry = try file.entry(name)
        let bytes = try file.file.bytes(file.header.dataStart + entry.range.lowerBound..<file.header.dataStart + entry.range.upperBound)
        return (name, entry.description.shape, floats(bytes, entry.description.elementType))
      } + [("v_head.summary.weight", [1, 2], [1, 2])])
    // A key of PEFT in 2023, which changes nothing.
    var config = try #require(try JSONValue(parsing: contents(plain.appending("adapter_config.json")) ?? []).object)
    config["merge_weights"] = true
    life.write("adapter_config.json", JSONValue.object(config).serialized())
    let found = try adapted()
    #expect(found.warnings.count == 1 && found.warnings[0].description.contains("1 tensors of a value head, left out as PEFT does"), "\(found.warnings)")
    try same(found, adapted(plain))
  }

  @Test func `a layer too many is called that`() throws {
    try rename { $0.replacing("layers.1.", with: "layers.2.") }
    let found = try problems()
    #expect(found.count == 1 && found[0].kind == .modules && found[0].detail.contains("layers up to 2, and the model's last is 1"), "\(found)")
  }
  @Test func `nothing is put on in part`() throws {
    try rename { $0.contains("mlp") ? $0.replacing("base_model.model.model.", with: "base_model.model.vision_tower.") : $0 }
    let found = try problems()
    #expect(found.count == 1 && found[0].kind == .modules && found[0].detail.contains("12 of 28"), "\(found)")
    #expect(found[0].detail.contains("begin with 'base_model.model.vision_tower.layers.'"), "\(found)")
  }
  @Test func `a wrapper that is not known is no reason to guess`() throws {
    try rename { $0.replacing("base_model.model.", with: "base_model.model.encoder.") }
    #expect(try problems().map(\.kind) == [.modules])
  }
  @Test func `several adapters in one file are named`() throws {
    try rename { $0.contains("mlp") ? $0.replacing(".weight", with: ".one.weight") : $0.replacing(".weight", with: ".two.weight") }
    #expect(try problems().contains { $0.detail.contains("2 adapters: one, two") })
  }
  @Test func `two tensors for one place are not one`() throws {
    zeros([
      ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", [3, 16]), ("model.layers.0.self_attn.q_proj.lora_A.weight", [3, 16]),
      ("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", [16, 3]),
    ])
    life.write("adapter_config.json", #"{"peft_type": "LORA", "r": 3, "target_modules": ".*_proj|.*router|lm_head"}"#)
    #expect(try problems().contains { $0.kind == .names && $0.detail.contains("twice") })
  }
  @Test func `names of image trainers are called that`() throws {
    zeros([("lora_unet_down_blocks_0.lora_down.weight", [3, 16]), ("lora_unet_down_blocks_0.lora_up.weight", [16, 3]), ("lora_unet_down_blocks_0.alpha", [])])
    life.write("adapter_config.json", #"{"peft_type": "LORA", "r": 3, "target_modules": ".*_proj|.*router|lm_head"}"#)
    #expect(try problems().contains { $0.detail.contains("kohya") })
  }

  @Test func `all that is wrong is told together`() throws {
    let layer = "base_model.model.model.layers.0"
    zeros([
      ("\(layer).self_attn.q_proj.lora_A.weight", [3, 16]),
      ("\(layer).self_attn.k_proj.lora_A.weight", [2, 16]), ("\(layer).self_attn.k_proj.lora_B.weight", [8, 2]),
      ("\(layer).mlp.down_proj.lora_A.weight", [3, 16]), ("\(layer).mlp.down_proj.lora_B.weight", [16, 3]),
      ("\(layer).mlp.up_proj.lora_A.weight", [0]), ("\(layer).mlp.up_proj.lora_B.weight", [24, 3]),
      ("\(layer).mlp.router.lora_A.weight", [3, 16]), ("\(layer).mlp.gate_proj.hada_w1_a", [3, 16]),
      ("base_model.model.model.layers.9.mlp.up_proj.lora_B.weight", [24, 3]),
      ("base_model.model.lm_head.lora_A.weight", [3, 16]), ("base_model.model.lm_head.lora_B.weight", [25, 3]),
    ])
    life.write("adapter_config.json", #"{"peft_type": "LORA", "r": 3, "target_modules": ".*_proj|.*router|lm_head"}"#)
    let text = try problems().map { "\($0.detail) \($0.remedy)" }.joined(separator: "\n")
    for part in [
      "q_proj.lora_A", "k_proj.lora_A.weight [2, 16] instead of [3, 16]", "down_proj.lora_A.weight [3, 16] instead of [3, 24]",
      "up_proj.lora_A.weight [0]", "gathered", "router", "hada_w1_a", "layers up to 9", "grew from 22 to 25",
    ] { #expect(text.contains(part), "\(part) in\n\(text)") }
  }
  @Test func `all settings that cannot be had are told together`() throws {
    zeros([])
    life.write("adapter_config.json", #"{"peft_type": "LORA", "r": 3, "init_lora_weights": "pissa_niter_4", "layer_replication": [[0, 2]], "new_thing": 1.5}"#)
    let text = try problems().map { "\($0.detail) \($0.remedy)" }.joined(separator: "\n")
    for part in ["pissa_niter_4", "path_initial_model_for_weight_conversion", "layer_replication", "new_thing = 1.5"] { #expect(text.contains(part), "\(part)") }
  }
  @Test func `settings and tensors that cannot be had are told together`() throws {
    let layer = "base_model.model.model.layers.0"
    zeros([("\(layer).self_attn.q_proj.lora_A.weight", [3, 15]), ("\(layer).self_attn.q_proj.lora_B.weight", [16, 3]), ("\(layer).mlp.router.lora_A.weight", [3, 16])])
    life.write(
      "adapter_config.json",
      #"{"peft_type": "LORA", "r": 0, "lora_alpha": "16", "use_dora": "yes", "rank_pattern": {"(a)\\1": 2}, "target_modules": ["q_proj", 4], "layers_to_transform": "1", "mystery": true}"#)
    let found = try problems()
    let text = found.map { "\($0.heading) \($0.detail)" }.joined(separator: "\n")
    for part in [
      "'r' is 0", "'lora_alpha' is a string", "'use_dora' is a string", "'rank_pattern' holds", "'target_modules' holds", "'layers_to_transform' is a string", "mystery = true",
      "q_proj.lora_A.weight [3, 15] instead of [3, 16]", "mlp.router",
    ] { #expect(text.contains(part), "\(part) in\n\(text)") }
    #expect(text.contains("settings cannot be read") && !text.contains("another rank") && !text.contains("magnitude"), "\(text)")
    life.write("adapter_model.safetensors", "cut")
    let both = try problems().map(\.detail).joined(separator: "\n")
    #expect(both.contains("'r' is 0") && both.contains("adapter_model.safetensors"), "\(both)")
  }
  @Test func `a thousand names are a few words`() throws {
    zeros(
      (0..<500).flatMap { layer in
        ["q_proj", "some_projection_with_a_long_name"].map { ("base_model.model.transformer.blocks.\(layer).attention.self.\($0).lora_A.weight", [3, 16]) }
      })
    life.write("adapter_config.json", #"{"peft_type": "LORA", "r": 3, "target_modules": ".*_proj|.*router|lm_head"}"#)
    let found = try problems()
    #expect(found.count == 1 && found[0].detail.contains("1000 of 1000") && found[0].detail.contains("(500)"), "\(found)")
  }

  @Test func `a vocabulary that grew is called that, and nothing else is said of its tables`() throws {
    for tensors: [(String, [Int])] in [
      [("base_model.model.model.embed_tokens.weight", [25, 16]), ("base_model.model.lm_head.weight", [25, 16])],
      [("base_model.model.model.embed_tokens.original_module.weight", [25, 16]), ("base_model.model.model.embed_tokens.modules_to_save.default.weight", [25, 16])],
      [("base_model.model.model.embed_tokens.lora_embedding_A", [3, 25]), ("base_model.model.model.embed_tokens.lora_embedding_B", [16, 3])],
    ] {
      zeros(tensors)
      let targets = tensors[0].0.contains("lora_") ? "embed_tokens" : "q_proj"
      life.write("adapter_config.json", #"{"peft_type": "LORA", "r": 3, "target_modules": ["\#(targets)"]}"#)
      let found = try problems()
      #expect(found.map(\.kind) == [.vocabulary] && found[0].detail.contains("grew from 22 to 25") && found[0].remedy.contains("build a new engine"), "\(found)")
    }
  }
  @Test func `a table that was saved under its wrapper's name takes the base's place`() throws {
    zeros([("base_model.model.model.embed_tokens.modules_to_save.default.weight", [22, 16]), ("base_model.model.model.embed_tokens.original_module.weight", [22, 16])])
    life.write("adapter_config.json", #"{"peft_type": "LORA", "r": 3, "modules_to_save": ["embed_tokens"]}"#)
    #expect(try adapted().bytes(of: "transformer.vocab_embedding.weight", rank: 0).allSatisfy { $0 == 0 })
  }

  @Test func `files that are not there are told of, with what is there`() throws {
    func text() throws -> String { try #require(message { _ = try LoRAAdapter(directory: life.path) }) }
    life.write("checkpoint-500/adapter_config.json", "{}")
    #expect(try text().contains("checkpoint-500"))
    #expect(LoRAAdapter.subfolders(of: life.path) == ["checkpoint-500"])
    life.write("checkpoint-1000/adapter_config.json", "{}")
    #expect(try text().contains("sub-folders checkpoint-1000, checkpoint-500"))
    life.write("adapter_config.json", "{}")
    #expect(try text().contains("sub-folders"))
    remove(life("checkpoint-500")); remove(life("checkpoint-1000"))
    #expect(try text().contains("no adapter_model.safetensors"))
    life.write("adapter_model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")
    #expect(try text().contains("git lfs pull"))
  }

  @Test func `a factor is read once for a weight, whatever tiles it is made in`() throws {
    let found = try adapted(AdapterTests.adapters.appending("plain"))
    var expected = 0
    for (module, inputs) in [("q", 16), ("k", 16), ("v", 16), ("o", 16), ("gate", 16), ("up", 16), ("down", 24)] { _ = module; expected += 2 * 3 * inputs * 4 }
    for name in found.touchedNames(rank: 0) { _ = try bytes(of: name, rank: 0, step: 1, from: found) }
    #expect(found.factorByteCount == expected)
    for name in found.touchedNames(rank: 0) { _ = try bytes(of: name, rank: 0, step: 5, from: found) }
    #expect(found.factorByteCount == 2 * expected)
  }
}

/// Patterns, against what Python's `re` says: for keys of `rank_pattern` and `alpha_pattern`, `re.match(rf"(.*\.)?({key})$", path)`.
struct ModulePatternTests {
  static let path = "model.layers.1.self_attn.q_proj"
  @Test(arguments: [
    "q_proj", "self_attn.q_proj", "model.layers.1.self_attn.q_proj", "^model.layers.1.self_attn.q_proj", "layers.1.*", ".*q_proj", "[qk]_proj",
    "(q|k)_proj", "q_proj|v_proj", "(?:q|v)_proj$", "(?P<name>q)_proj", #"layers\.\d+\.self_attn\.\w+"#, "q_pro.", "[^.]+", "q_{1}proj", "q_{1,}proj",
    "(a|q)+_p?roj", "[a-z]_proj", "self.attn.q_proj", ".*", "1.self_attn.q_proj", "q_proj|", "q{0,1}_proj", "[]q]_proj",
    "(?=q)q_proj", "(?!k).*_proj", "^(?!.*mlp).*proj", #".*\bq_proj\b"#, "(?<=attn.)q_proj", "(?<!mlp.)q_proj", #"q\B_proj"#, "(?=.*(?<=_)proj)q_proj",
  ]) func `matches`(pattern: String) throws { #expect(try ModulePattern(pattern).matches(Self.path)) }
  @Test(arguments: [
    "_proj", "proj", "q_proj.", "k_proj", "self_attn", "^q_proj", "layers.1", "Q_proj", "[^q]_proj", #"\d_proj"#, "q_proj$x", "q__proj", "layers.2.*", "", "model.q_proj",
    "(?!q)q_proj", "(?=k)q_proj", "^(?!.*attn).*proj", #"q\b_proj"#, "(?<=mlp.)q_proj", "(?<!attn.)q_proj",
  ]) func `does not match`(pattern: String) throws { #expect(try !ModulePattern(pattern).matches(Self.path)) }
  @Test(arguments: ["(", ")", "[", "*a", "a**", "(?=a)*", "(?i)a", "(?(1)a)", #"(a)\1"#, "a++", #"\b+"#, "(?P=a)", "[z-a]", "a{300}", "\\", "((((a{200}){200}){200}){200})"])
  func `cannot be read`(pattern: String) { #expect(throws: ModulePattern.Failure.self) { _ = try ModulePattern(pattern) } }
  @Test(arguments: [
    (#"model\.layers\.\d+\.self_attn\.(q|k)_proj"#, true), (".*q_proj", true), ("q_proj", false), (path, true), ("model.*attn", false), ("model|.*", true),
    (#"(?:.*?(?:language|text).*?(?:q_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|mlp)\.(?:(?:q_proj|up_proj)))"#, true), ("", false),
  ]) func `a whole path is matched as re.fullmatch does`(pattern: String, matches: Bool) throws {
    #expect(try ModulePattern(pattern, for: .whole).matches(Self.path) == matches)
  }
  @Test(arguments: [
    ("self_attn", true), ("q_proj", true), ("model", true), ("layers.1", true), ("attn", false), ("self", false), ("layers.1.mlp", false), (path, true),
    ("self_.*", true), ("(layers|h).1", true), ("proj", false), ("mlp|attn", false), ("mlp|attn|q_proj", false), ("mlp|self_attn.*", false), ("", false),
  ]) func `components are matched as PEFT keeps modules_to_save from a change`(pattern: String, matches: Bool) throws {
    #expect(try ModulePattern(pattern, for: .components).matches(Self.path) == matches)
  }
  @Test func `all patterns of one adapter have a bound together`() throws {
    let life = TemporaryDirectory()
    func refusal(_ patterns: [String], alphas: [String] = []) -> String? {
      let object = { (names: [String]) in JSONValue.object(JSONObject(uniqueKeysWithValues: names.map { ($0, JSONValue.int(2)) })) }
      let config: JSONValue = ["peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "rank_pattern": object(patterns), "alpha_pattern": object(alphas)]
      life.write("adapter_config.json", config.serialized())
      life.write("adapter_model.safetensors", contents(AdapterTests.adapters.appending("plain/adapter_model.safetensors")) ?? [])
      let base = try? AdapterTests.base(Mapping())
      return message { _ = try base.map { try AdaptedWeights(base: $0, adapter: LoRAAdapter(directory: life.path), layout: $0.layout) } }.flatMap { $0.contains("together") ? $0 : nil }
    }
    // As EVA writes them: every module of a model of 126 layers, both ways.
    let names = (0..<126).flatMap { layer in ["q", "k", "v", "o", "gate", "up", "down"].map { "model.layers.\(layer).self_attn.\($0)_proj" } }
    #expect(refusal(names, alphas: names) == nil)
    // Each alone could be read: 2,000 states, or 4,000 characters.
    let loops = (0..<8).map { "(a|b\($0)){200}(c|d){200}" }
    #expect(refusal([loops[0]]) == nil)
    for said in [refusal(loops), refusal(Array(loops.prefix(4)), alphas: Array(loops.suffix(4)))] {
      #expect(said?.contains("together") == true && said?.split(separator: "\n").allSatisfy { $0.count <= 300 } == true, "\(said ?? "read")")
    }
    #expect(refusal((0..<80).map { "\($0)" + String(repeating: "x", count: 4000) })?.contains("together") == true)
  }
  @Test func `a pattern made to take for ever does not`() throws {
    let path = String(repeating: "a", count: 400)
    #expect(throws: ModulePattern.Failure.self) { _ = try ModulePattern(String(repeating: "{", count: 5_000_000)) }
    #expect(throws: Never.self) { _ = try? ModulePattern(String(repeating: "{", count: 4000)) }
    #expect(try !ModulePattern("(a|a)*(a*)*(.*.*)*(aa|a)+b").matches(path))
    #expect(try !ModulePattern("(?=(a|a)*(?=(a*)*c)c)(?<!(a|aa)+c)b").matches(path))
    var budget = ModulePattern.Budget()
    #expect(try !budget.pays(for: ModulePattern("(?=(a|b){200})c")))
    // Nothing, 200 times, to the power of eight.
    #expect(try !ModulePattern("((((((((){200}){200}){200}){200}){200}){200}){200}){200}b").matches(path))
  }
}
