import Checkpoints
import JSON
import Safetensors
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// Against weights that PEFT merged; see `Scripts/reference/adapters.py`.
struct AdapterTests {
  static let variants = [
    "plain", "rank-stabilized", "dora", "patterns", "bias", "whole-modules", "embedding", "one-layer", "fan-in-fan-out",
    "fan-in-fan-out-dora",
  ]
  static let adapters = Expected.directory.appending("adapters")

  static func base(_ mapping: Mapping, _ type: ElementType = .float32) throws -> ConvertedWeights {
    let source = try ModelSource(adapters.appending("base"))
    return try ConvertedWeights(source.tensors, model: source.model, mapping: mapping, elementType: type)
  }

  @Test(arguments: variants, [Mapping(), Mapping(tensorParallel: 2), Mapping(tensorParallel: 4), Mapping(tensorParallel: 2, pipelineParallel: 2)])
  func `agrees with PEFT's merged weights to float32 rounding, on every rank`(variant: String, mapping: Mapping) throws {
    let source = try ModelSource(Self.adapters.appending("base"))
    let base = try Self.base(mapping)
    let changed = try Expected.file("adapters/\(variant).expected.safetensors")
    let merged = try ConvertedWeights(Merged(base: source.tensors, changed: changed), model: source.model, mapping: mapping, elementType: .float32)
    let adapter = try LoRAAdapter(directory: Self.adapters.appending(variant))
    let adapted = try AdaptedWeights(base: base, adapter: adapter, layout: base.layout)
    var differing = 0
    for rank in 0..<mapping.worldSize {
      let touched = Set(adapted.touchedNames(rank: rank))
      for name in merged.names(rank: rank) {
        let expected = try floats(merged.bytes(of: name, rank: rank), .float32)
        let original = try floats(base.bytes(of: name, rank: rank), .float32)
        if !touched.contains(name) { #expect(expected == original, "\(name) should be touched") } else { differing += 1 }
        for step in [3, 1000] {
          let found = try floats(bytes(of: name, rank: rank, step: step, from: adapted), .float32)
          #expect(found.count == expected.count)
          // A few roundings of numbers of this size; sums in another order than PEFT's.
          let worst = zip(found, expected).map { abs($0 - $1) / (1 + abs($1)) }.reduce(0, { $1 > $0 || $1.isNaN ? $1 : $0 })
          #expect(worst <= 2e-6, "\(name) of rank \(rank), tiles of \(step): off by \(worst)")
        }
      }
    }
    #expect(differing > 0)
  }

  @Test func `what is not touched comes from the base, in its own type`() throws {
    let base = try Self.base(Mapping(), .bfloat16)
    let adapted = try AdaptedWeights(base: base, adapter: LoRAAdapter(directory: Self.adapters.appending("one-layer")), layout: base.layout)
    #expect(adapted.touchedNames(rank: 0) == ["transformer.layers.1.mlp.fc.weight"])
    for name in adapted.names(rank: 0) {
      let isTouched = name == "transformer.layers.1.mlp.fc.weight"
      #expect(adapted.description(of: name, rank: 0)?.elementType == (isTouched ? .float32 : .bfloat16))
      if !isTouched { #expect(try adapted.bytes(of: name, rank: 0) == base.bytes(of: name, rank: 0)) }
    }
  }

  @Test func `strength multiplies the change, and none of it gives the base`() throws {
    let base = try Self.base(Mapping(tensorParallel: 2))
    let adapter = try LoRAAdapter(directory: Self.adapters.appending("plain"))
    func weights(_ strength: Double, _ name: String) throws -> [Float] {
      let adapted = try AdaptedWeights(base: base, adapter: adapter, layout: base.layout, strength: strength)
      return try floats(adapted.bytes(of: name, rank: 1), .float32)
    }
    for name in ["transformer.layers.0.attention.qkv.weight", "transformer.layers.1.mlp.proj.weight"] {
      let none = try floats(base.bytes(of: name, rank: 1), .float32)
      let (zero, one, half) = try (weights(0, name), weights(1, name), weights(0.5, name))
      #expect(zero == none && one != none)
      #expect(half.indices.allSatisfy { abs(half[$0] - (one[$0] + none[$0]) / 2) <= 1e-5 })
    }
  }

  @Test func `adapters stack, each on the one before`() throws {
    let base = try Self.base(Mapping())
    let first = try AdaptedWeights(base: base, adapter: LoRAAdapter(directory: Self.adapters.appending("plain")), layout: base.layout)
    let second = try AdaptedWeights(base: first, adapter: LoRAAdapter(directory: Self.adapters.appending("one-layer")), layout: base.layout)
    let alone = try AdaptedWeights(base: base, adapter: LoRAAdapter(directory: Self.adapters.appending("one-layer")), layout: base.layout)
    let name = "transformer.layers.1.mlp.fc.weight"
    func values(_ source: any WeightSource) throws -> [Float] { try floats(source.bytes(of: name, rank: 0), .float32) }
    let (b, f, s, a) = try (values(base), values(first), values(second), values(alone))
    #expect(b.indices.allSatisfy { abs(s[$0] - (f[$0] + a[$0] - b[$0])) <= 1e-5 })
    #expect(second.origin.contains("plain") && second.origin.contains("one-layer"))
  }
}

/// Adapters that must not be merged.
struct AdapterRefusalTests {
  let directory = TemporaryDirectory()

  func copy(_ variant: String = "plain") {
    for (file, bytes) in snapshot(AdapterTests.adapters.appending(variant)) { directory.write(file, bytes) }
  }
  func edit(_ change: (inout JSONObject) -> Void) throws {
    var members = try #require(try JSONValue(parsing: contents(directory("adapter_config.json")) ?? []).object)
    change(&members)
    directory.write("adapter_config.json", JSONValue.object(members).serialized())
  }
  /// Replaces the adapter's tensors by float32 zeros of these shapes.
  func tensors(_ shapes: [(String, [Int])]) throws {
    var header = JSONObject()
    var offset = 0
    for (name, shape) in shapes {
      let count = shape.reduce(4, *)
      header[name] = ["dtype": "F32", "shape": .ints(shape), "data_offsets": .ints([offset, offset + count])]
      offset += count
    }
    var text = Array(JSONValue.object(header).serialized().utf8)
    text += [UInt8](repeating: 0x20, count: (8 - text.count % 8) % 8)
    let size = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
    directory.write("adapter_model.safetensors", size + text + [UInt8](repeating: 0, count: offset))
  }
  func refusal(sharesEmbedding: Bool = false) throws -> String {
    let base = try AdapterTests.base(Mapping(tensorParallel: 2))
    return try #require(
      message {
        _ = try AdaptedWeights(
          base: base, adapter: LoRAAdapter(directory: directory.path), layout: base.layout, sharesEmbedding: sharesEmbedding)
      })
  }

  @Test func `every setting that is not supported is named with its value`() throws {
    copy()
    try edit {
      $0["layer_replication"] = [[0, 4]]
      $0["init_lora_weights"] = "pissa"
      $0["some_new_method"] = ["x": 1]
    }
    let text = try refusal()
    for part in ["layer_replication = [[0,4]]", "init_lora_weights = \"pissa\"", "some_new_method"] {
      #expect(text.contains(part), "\(part)")
    }
  }
  @Test func `settings of training and defaults of settings are no reason to refuse`() throws {
    copy()
    try edit {
      $0["lora_dropout"] = 0.1
      $0["revision"] = "main"
      $0["some_new_method"] = false
      $0["other_new_method"] = [:]
    }
    _ = try LoRAAdapter(directory: directory.path)
  }
  @Test func `another kind of adapter is refused by its name`() throws {
    copy()
    try edit { $0["peft_type"] = "LOHA" }
    #expect(try refusal().contains("peft_type = LOHA"))
  }
  @Test func `every part that reaches no weight is named`() throws {
    copy()
    try tensors([
      ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", [3, 16]),
      ("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", [16, 3]),
      ("base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight", [3, 16]),
      ("base_model.model.model.layers.7.self_attn.q_proj.lora_B.weight", [16, 3]),
      ("base_model.model.score.weight", [2, 16]),
    ])
    let text = try refusal()
    #expect(text.contains("2 of 5 tensors are for layers up to 7") && text.contains("model.layers.7.self_attn.q_proj") && text.contains("score.weight"))
  }
  @Test func `trained biases of modules that have none are named as that`() throws {
    copy()
    try edit { $0["bias"] = "all" }
    try tensors([
      ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", [3, 16]), ("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", [16, 3]),
      ("base_model.model.model.layers.0.self_attn.q_proj.base_layer.bias", [16]), ("base_model.model.model.layers.0.mlp.down_proj.base_layer.bias", [16]),
      ("base_model.model.model.layers.1.mlp.down_proj.base_layer.bias", [16]),
    ])
    let text = try refusal()
    #expect(text.contains("2 tensors of the adapter are trained biases, and this model's network has none of them: ") && text.contains("down_proj.base_layer.bias"), "\(text)")
    #expect(text.contains("The model has no such biases") && !text.contains("no such modules") && !text.contains("q_proj"), "\(text)")
  }
  @Test func `tensors of no known role are named`() throws {
    copy()
    try tensors([("base_model.model.model.layers.0.self_attn.q_proj.hada_w1_a", [3, 16]), ("other", [1])])
    let text = try refusal()
    #expect(text.contains("hada_w1_a") && text.contains("other"))
  }
  @Test func `shapes that do not fit are given, both of them`() throws {
    copy()
    let name = "base_model.model.model.layers.0.mlp.down_proj"
    try tensors([("\(name).lora_A.weight", [3, 16]), ("\(name).lora_B.weight", [16, 3])])
    let text = try refusal()
    #expect(text.contains("[3, 16]") && text.contains("[3, 24]"))
    try tensors([("\(name).lora_A.weight", [2, 24]), ("\(name).lora_B.weight", [16, 2])])
    #expect(try refusal().contains("instead of [3, 24]"))
    try tensors([("\(name).lora_A.weight", [3, 24])])
    #expect(try refusal().contains("partners are not there"))
  }
  @Test func `a magnitude without DoRA, or DoRA without, is refused`() throws {
    copy("dora")
    try edit { $0["use_dora"] = false }
    #expect(try refusal().contains("lora_magnitude_vector"))
    for (file, bytes) in snapshot(AdapterTests.adapters.appending("plain")) { directory.write(file, bytes) }
    try edit { $0["use_dora"] = true }
    #expect(try refusal().contains("lora_magnitude_vector"))
  }
  @Test func `what trainers leave of shards is told only of tensors without numbers`() throws {
    copy()
    let name = "base_model.model.model.layers.0.mlp.down_proj"
    func shards(_ shape: [Int]) throws -> Bool {
      try tensors([("\(name).lora_A.weight", shape), ("\(name).lora_B.weight", [16, 3])])
      let text = try refusal()
      #expect(text.contains("\(shape)"), "\(text)")
      return text.contains("FSDP")
    }
    #expect(try shards([0]) && shards([0, 24]))
    // A flat shard may be of FSDP, or the file of another model: both are said.
    for flat in [[72], [36], [3]] {
      #expect(try shards(flat) && refusal().contains("another model"), "\(flat)")
    }
    #expect(try !shards([1, 3, 24]) && !shards([24, 3]))
  }
  @Test func `only pickled weights are refused`() throws {
    directory.write("adapter_config.json", #"{"peft_type": "LORA", "r": 2}"#)
    directory.write("adapter_model.bin", "x")
    #expect(try refusal().contains("run code"))
  }
  @Test func `a change to one of two tied tables is refused where they are stored once`() throws {
    copy()
    try edit { $0["target_modules"] = ["lm_head"] }
    try tensors([("base_model.model.lm_head.lora_A.weight", [3, 16]), ("base_model.model.lm_head.lora_B.weight", [22, 3])])
    #expect(try refusal(sharesEmbedding: true).contains("one table"))
    let base = try AdapterTests.base(Mapping())
    let adapted = try AdaptedWeights(base: base, adapter: LoRAAdapter(directory: directory.path), layout: base.layout)
    #expect(adapted.touchedNames(rank: 0) == ["lm_head.weight"])
  }
  @Test func `a table saved beside its change is what the change is added to`() throws {
    copy()
    try edit { $0["target_modules"] = ["lm_head"] }
    try tensors([
      ("base_model.model.lm_head.base_layer.weight", [22, 16]), ("base_model.model.lm_head.lora_A.weight", [3, 16]),
      ("base_model.model.lm_head.lora_B.weight", [22, 3]),
    ])
    let base = try AdapterTests.base(Mapping())
    let adapted = try AdaptedWeights(base: base, adapter: LoRAAdapter(directory: directory.path), layout: base.layout)
    #expect(try adapted.bytes(of: "lm_head.weight", rank: 0).allSatisfy { $0 == 0 })
    #expect(try !base.bytes(of: "lm_head.weight", rank: 0).allSatisfy { $0 == 0 })
  }
  @Test func `one stored table takes a change that is the same for both of its uses`() throws {
    let base = SharedTable(base: try AdapterTests.base(Mapping()))
    func adapted() throws -> AdaptedWeights {
      try AdaptedWeights(base: base, adapter: LoRAAdapter(directory: directory.path), layout: base.base.layout, sharesEmbedding: true)
    }
    copy()
    try tensors([("base_model.model.model.embed_tokens.weight", [22, 16]), ("base_model.model.lm_head.weight", [22, 16])])
    #expect(try adapted().touchedNames(rank: 0) == ["transformer.vocab_embedding.weight"])
    copy("whole-modules")  // both, with different values
    #expect(message { _ = try adapted() }?.contains("differently") == true)
    try tensors([("base_model.model.model.embed_tokens.weight", [22, 16])])
    try edit { $0["modules_to_save"] = ["embed_tokens"] }
    #expect(message { _ = try adapted() }?.contains("alone") == true)
    try edit { $0["ensure_weight_tying"] = true }
    #expect(try adapted().touchedNames(rank: 0) == ["transformer.vocab_embedding.weight"])
    let untied = try AdapterTests.base(Mapping())
    func onUntied(_ ties: Bool) throws -> AdaptedWeights {
      try AdaptedWeights(base: untied, adapter: LoRAAdapter(directory: directory.path), layout: untied.layout, tiesEmbeddings: ties)
    }
    // PEFT ties nothing where the model does not.
    #expect(try onUntied(false).touchedNames(rank: 0) == ["transformer.vocab_embedding.weight"])
    let both = try onUntied(true)
    #expect(both.touchedNames(rank: 0) == ["lm_head.weight", "transformer.vocab_embedding.weight"])
    #expect(try both.bytes(of: "lm_head.weight", rank: 0) == both.bytes(of: "transformer.vocab_embedding.weight", rank: 0))
  }
  @Test func `an emptied base weight is named`() throws {
    struct Emptied: WeightSource {
      let base: ConvertedWeights
      var origin: String { "pruned" }
      func names(rank: Int) -> [String] { base.names(rank: rank) }
      func description(of name: String, rank: Int) -> TensorDescription? {
        name.hasSuffix("qkv.weight") ? TensorDescription(shape: [0], elementType: .bfloat16) : base.description(of: name, rank: rank)
      }
      func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {}
    }
    let base = try AdapterTests.base(Mapping())
    let text = try #require(
      message {
        _ = try AdaptedWeights(
          base: Emptied(base: base), adapter: LoRAAdapter(directory: AdapterTests.adapters.appending("plain")), layout: base.layout)
      })
    #expect(text.contains("transformer.layers.*.attention.qkv.weight (2)"), "\(text)")
  }
}
