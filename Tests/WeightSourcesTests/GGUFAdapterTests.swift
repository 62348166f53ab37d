import Checkpoints
import JSON
import SystemPackage
import Tensors
import TestSupport
import Testing
import WeightSources

/// Adapters in GGUF files against the PEFT directories that they were made of; see `Scripts/reference/gguf_adapters.py`.
struct GGUFAdapterTests {
  static let directory = AdapterTests.adapters.appending("gguf")
  static let models = FilePath(#filePath).removingLastComponent().appending("../../Models").lexicallyNormalized()
  static let names = [
    "tiny-lora", "start-true", "target-regex", "target-all-linear", "target-head", "target-table", "target-table-without-copy", "rank-large",
    "save-norms", "tied-target-table", "tied-target-both",
  ]
  static let mappings = [Mapping(), Mapping(tensorParallel: 2), Mapping(tensorParallel: 2, pipelineParallel: 2)]

  /// A model, and an adapter for it in both forms.
  struct Pair {
    let base: ConvertedWeights
    let layout: ShardLayout
    let peft: FilePath
    let gguf: FilePath
    let tiesEmbeddings: Bool

    init(_ name: String, _ mapping: Mapping = Mapping(), type: String = "f32") throws {
      let isTiny = name == "tiny-lora"
      let item = AdapterMatrixTests.cases.first { $0.name == name }
      let source = try ModelSource(isTiny ? models.appending("tiny") : AdapterMatrixTests.directory.appending(try #require(item).base))
      base = try ConvertedWeights(source.tensors, model: source.model, mapping: mapping, elementType: .float32)
      layout = try AdapterMatrixTests.layout(source, mapping)
      peft = isTiny ? models.appending("tiny-lora") : AdapterMatrixTests.directory.appending(name)
      gguf = directory.appending("\(name).\(type).gguf")
      tiesEmbeddings = isTiny || item?.base == "tied"
    }
    func adapted(_ adapter: LoRAAdapter, shares: Bool = false) throws -> AdaptedWeights {
      try AdaptedWeights(
        base: shares ? SharedTable(base: base) : base, adapter: adapter, layout: layout, sharesEmbedding: shares, tiesEmbeddings: tiesEmbeddings)
    }
    func fromPEFT(shares: Bool = false) throws -> AdaptedWeights { try adapted(LoRAAdapter(directory: peft), shares: shares) }
    func fromGGUF(shares: Bool = false) throws -> AdaptedWeights { try adapted(LoRAAdapter(gguf: gguf, for: layout), shares: shares) }
  }

  @Test(arguments: names, mappings) func `a file of float32 gives the weights of the directory it was made of`(name: String, mapping: Mapping) throws {
    let pair = try Pair(name, mapping)
    let (ours, theirs) = try (pair.fromGGUF(), pair.fromPEFT())
    var touched = 0
    for rank in 0..<mapping.worldSize {
      // Copies of tables that PEFT saves along are the base's, and the file has none.
      #expect(Set(ours.touchedNames(rank: rank)).isSubset(of: theirs.touchedNames(rank: rank)))
      touched += ours.touchedNames(rank: rank).count
      for tensor in theirs.touchedNames(rank: rank) {
        for step in [3, 1000] {
          #expect(try bytes(of: tensor, rank: rank, step: step, from: ours) == theirs.bytes(of: tensor, rank: rank), "\(tensor) of rank \(rank)")
        }
      }
    }
    #expect(touched > 0)
    #expect(ours.warnings.map(\.subject) == (name == "save-norms" ? ["blk.0.attn_norm.weight"] : []))
  }

  @Test(arguments: [("f16", 0.001), ("bf16", 0.01), ("q8_0", 0.01)] as [(String, Float)])
  func `factors in fewer bits give the same but for their rounding`(type: String, tolerance: Float) throws {
    let pair = try Pair("tiny-lora", Mapping(tensorParallel: 2), type: type)
    let (ours, theirs) = try (pair.fromGGUF(), pair.fromPEFT())
    for rank in 0..<2 {
      for name in theirs.touchedNames(rank: rank) {
        let (found, wanted) = try (floats(ours.bytes(of: name, rank: rank), .float32), floats(theirs.bytes(of: name, rank: rank), .float32))
        let before = try floats(pair.base.bytes(of: name, rank: rank), .float32)
        let change = zip(wanted, before).map { abs($0 - $1) }.max() ?? 0
        let worst = zip(found, wanted).map { abs($0 - $1) }.reduce(0) { $1 > $0 || $1.isNaN ? $1 : $0 }
        #expect(change > 0 && worst > 0 && worst <= tolerance * change, "\(name) of rank \(rank): off by \(worst) of \(change)")
      }
    }
  }

  @Test func `one stored table takes a change that both of its uses have, and no other`() throws {
    for name in ["tied-target-both", "tied-target-table"] {
      let pair = try Pair(name)
      let (ours, theirs) = (message { _ = try pair.fromGGUF(shares: true) }, message { _ = try pair.fromPEFT(shares: true) })
      #expect(ours != nil && theirs != nil && ours?.contains("one table") == true, "\(name)")
    }
    // The same factors for both: of the table the first is stored the other way round.
    let pair = try Pair("tied-target-both")
    let life = TemporaryDirectory()
    let values = (0..<14 * 2).map { Float($0) / 7 }, inner = (0..<12 * 2).map { Float($0) - 3 }
    let turned = (0..<24).map { inner[$0 % 2 * 12 + $0 / 2] }
    let path = life.write(
      "a.gguf",
      Self.file(tensors: [
        ("token_embd.weight.lora_a", [14, 2], values), ("token_embd.weight.lora_b", [12, 2], turned),
        ("output.weight.lora_a", [2, 12], inner), ("output.weight.lora_b", [14, 2], values),
      ]))
    let adapter = try LoRAAdapter(gguf: path, for: pair.layout)
    let one = try pair.adapted(adapter, shares: true), two = try pair.adapted(adapter)
    #expect(one.touchedNames(rank: 0) == ["transformer.vocab_embedding.weight"])
    #expect(try one.bytes(of: "transformer.vocab_embedding.weight", rank: 0) == two.bytes(of: "lm_head.weight", rank: 0))
    #expect(try two.bytes(of: "lm_head.weight", rank: 0) != pair.base.bytes(of: "lm_head.weight", rank: 0))
  }

  // MARK: files written here

  enum Field {
    case text(String), f32(Float), u32(UInt32), u32s([UInt32])
  }
  static let fields: [String: Field] = [
    "general.architecture": .text("llama"), "general.type": .text("adapter"), "adapter.type": .text("lora"), "adapter.lora.alpha": .f32(4),
  ]
  typealias Tensor = (name: String, shape: [Int], values: [Float])
  static func file(_ fields: [String: Field] = fields, tensors: [Tensor]) -> [UInt8] {
    var file = GGUFBytes()
    file.start(tensors: UInt64(tensors.count), values: UInt64(fields.count))
    for (key, field) in fields.sorted(by: { $0.key < $1.key }) {
      switch field {
      case .text(let text): file.value(key, text: text)
      case .f32(let value): file.value(key, f32: value)
      case .u32(let value): file.value(key, u32: value)
      case .u32s(let values): file.value(key, u32s: values)
      }
    }
    var data: [UInt8] = []
    for (name, shape, values) in tensors {
      file.tensor(name, shape.reversed().map { UInt64($0) }, offset: UInt64(data.count))
      for value in values { data += (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
      data += [UInt8](repeating: 0, count: (32 - data.count % 32) % 32)
    }
    file.data(0)
    return file.bytes + data
  }
  static func zeros(_ name: String, _ shape: [Int]) -> Tensor { (name, shape, [Float](repeating: 0, count: shape.reduce(1, *))) }
  /// Of down_proj in the model below, `[12, 10]`.
  static func pair(_ rank: Int = 2, layer: Int = 0, value: Float = 1) -> [Tensor] {
    [("a", rank * 10, [rank, 10]), ("b", 12 * rank, [12, rank])].map { letter, count, shape in
      ("blk.\(layer).ffn_down.weight.lora_\(letter)", shape, [Float](repeating: value, count: count))
    }
  }
  let life = TemporaryDirectory()
  func adapted(_ fields: [String: Field] = fields, _ tensors: [Tensor]) throws -> AdaptedWeights {
    let pair = try Pair("target-head")
    return try pair.adapted(LoRAAdapter(gguf: life.write("a.gguf", Self.file(fields, tensors: tensors)), for: pair.layout))
  }
  func problems(_ fields: [String: Field] = fields, _ tensors: [Tensor]) -> [AdapterProblem] {
    let error = #expect(throws: AdapterError.self) { _ = try adapted(fields, tensors) }
    for line in "\(error.map { "\($0)" } ?? "")".split(separator: "\n") { #expect(line.count <= 300, "\(line)") }
    return error?.problems ?? []
  }
  func changed(_ change: [String: Field?]) -> [String: Field] {
    Self.fields.merging(change.compactMapValues { $0 }) { $1 }.filter { key, _ in change[key].map { $0 != nil } ?? true }
  }

  @Test(arguments: [(4, 2, 2), (-3, 2, -1.5), (0, 2, 1), (nil, 2, 1), (4, 3, 4 / 3 as Float)] as [(Float?, Int, Float)])
  func `the change is scaled by alpha over the rank that the tensors have, and not at all without alpha`(alpha: Float?, rank: Int, scale: Float) throws {
    let found = try adapted(changed(["adapter.lora.alpha": alpha.map { .f32($0) }]), Self.pair(rank))
    let name = "transformer.layers.0.mlp.proj.weight"
    let (ours, base) = try (floats(found.bytes(of: name, rank: 0), .float32), floats(found.base.bytes(of: name, rank: 0), .float32))
    let wanted = scale * Float(rank)
    #expect(zip(ours, base).allSatisfy { abs($0 - $1 - wanted) <= 1e-5 })
    #expect(found.warnings.map(\.subject) == (alpha == nil || alpha == 0 ? ["adapter.lora.alpha"] : []))
  }

  @Test(
    arguments: [
      (["general.type": nil], "general.type is missing"), (["general.type": .text("model")], "general.type is 'model'"),
      (["adapter.type": nil], "adapter.type is missing"), (["adapter.type": .text("loha")], "adapter.type is 'loha'"), (["adapter.type": .u32(1)], "adapter.type is an integer"),
      (["general.architecture": nil], "general.architecture is missing"), (["general.architecture": .text("qwen2")], "general.architecture is 'qwen2'"),
      (["adapter.lora.alpha": .f32(.nan)], "adapter.lora.alpha is nan"), (["adapter.lora.alpha": .f32(.infinity)], "adapter.lora.alpha is inf"),
      (["adapter.lora.alpha": .text("4")], "adapter.lora.alpha is a string"),
      (["adapter.alora.invocation_tokens": .u32s([1, 2])], "adapter.alora.invocation_tokens"), (["adapter.alora.invocation_tokens": .u32(1)], "adapter.alora.invocation_tokens"),
      (["adapter.some.new": .u32(1)], "adapter.some.new"),
    ] as [([String: Field?], String)])
  func `metadata that say something else are refused by name`(change: [String: Field?], words: String) {
    let found = problems(changed(change), Self.pair())
    #expect(found.count == 1 && found[0].detail.contains(words), "\(found)")
  }
  @Test func `all that is wrong with metadata is told together`() {
    let found = problems(["general.architecture": .text("gemma"), "adapter.lora.alpha": .f32(.nan)], Self.pair())
    #expect(found.count == 4, "\(found)")
    // And with what is wrong with the tensors.
    let both = problems(changed(["adapter.lora.alpha": .f32(.nan)]), Self.pair(layer: 9) + [Self.zeros("x", [2])])
    #expect(both.map(\.kind) == [.settings, .names, .modules], "\(both)")
  }
  @Test func `what changes no weight is no reason to refuse, and what prompts must have is told`() throws {
    #expect(try adapted(changed(["adapter.alora.invocation_tokens": .u32s([]), "general.name": .text("x"), "adapter.lora.task_name": .text("t")]), Self.pair()).warnings.isEmpty)
    let told = try adapted(changed(["adapter.lora.prompt_prefix": .text("say: "), "llama.some": .u32(3)]), Self.pair()).warnings
    #expect(told.map(\.subject) == ["adapter.lora.prompt_prefix", "metadata"] && told[1].text.contains("llama.some"))
  }

  @Test func `every tensor that reaches no weight is named as the file has it`() {
    let found = problems(
      Self.fields,
      Self.pair() + [
        Self.zeros("blk.0.ffn_gate_exps.weight.lora_a", [2, 12]), Self.zeros("blk.0.attn_q.weight", [8, 12]), Self.zeros("blk.x.attn_q.weight.lora_a", [2, 12]),
        Self.zeros("blk.9.attn_q.weight.lora_a", [2, 12]), Self.zeros("blk.9.attn_q.weight.lora_b", [8, 2]), Self.zeros("blk.1.attn_norm.weight.lora_a", [2, 12]),
        Self.zeros("blk.1.attn_norm.weight.lora_b", [12, 2]), Self.zeros("blk.1.attn_v.weight.lora_a", [2, 12]), Self.zeros("rope_freqs.weight", [4]),
      ])
    let all = found.map(\.detail).joined(separator: "\n")
    #expect(found.map(\.kind) == [.names, .modules, .partners, .modules], "\(found)")
    #expect(found[0].detail.contains("4 of 11") && all.contains("blk.0.ffn_gate_exps.weight.lora_a") && all.contains("rope_freqs.weight"))
    #expect(all.contains("2 of 11 tensors are for layers up to 9, and the model's last is 1") && all.contains("blk.1.attn_v.weight.lora_a") && all.contains("attn_norm"))
  }
  @Test func `shapes that do not fit are told, by their cause`() {
    #expect(
      problems(Self.fields, [Self.zeros("blk.0.ffn_down.weight.lora_a", [2, 10]), Self.zeros("blk.0.ffn_down.weight.lora_b", [12, 3])]).map(\.detail)
        == ["1 tensors have another rank than their partners: blk.0.ffn_down.weight.lora_a [2, 10] instead of [3, 10]"])
    // As llama.cpp's old "finetune" wrote them.
    #expect(problems(Self.fields, [Self.zeros("blk.0.ffn_down.weight.lora_a", [10, 2]), Self.zeros("blk.0.ffn_down.weight.lora_b", [12, 2])]).map(\.kind) == [.shapes])
    #expect(
      problems(Self.fields, [Self.zeros("blk.0.ffn_down.weight.lora_a", [20]), Self.zeros("blk.0.ffn_down.weight.lora_b", [12, 2])])
        .allSatisfy { $0.kind == .shapes && $0.remedy.contains("another model") })
    #expect(problems(Self.fields, [Self.zeros("token_embd.weight.lora_a", [17, 2]), Self.zeros("token_embd.weight.lora_b", [12, 2])]).map(\.kind) == [.vocabulary])
    #expect(problems(Self.fields, []).map(\.kind) == [.files])
  }
  @Test func `numbers of a type that cannot be read are refused with its name`() throws {
    let pair = try Pair("target-head")
    var file = GGUFBytes()
    file.start(tensors: 2, values: 4)
    for (key, field) in Self.fields { if case .text(let text) = field { file.value(key, text: text) } else { file.value(key, f32: 4) } }
    file.tensor("blk.0.ffn_down.weight.lora_a", [256, 2], type: 10)
    file.tensor("blk.0.ffn_down.weight.lora_b", [2, 12], offset: 192)
    file.data(192 + 96)
    let path = life.write("a.gguf", file.bytes)
    let error = #expect(throws: AdapterError.self) { _ = try pair.adapted(LoRAAdapter(gguf: path, for: pair.layout)) }
    #expect(error?.problems.map(\.kind) == [.elementTypes] && error?.problems[0].detail.contains("Q2_K") == true, "\(String(describing: error))")
  }
  @Test func `what PEFT's configuration beside it says and the file cannot hold is told`() throws {
    for (config, subjects) in [
      (#"{"use_rslora": false, "alpha_pattern": {}, "ensure_weight_tying": null}"#, []), (#"{"use_rslora": true, "alpha_pattern": {"q_proj": 3}}"#, ["use_rslora"]),
      (#"{"alpha_pattern": {"q_proj": 3}}"#, ["alpha_pattern"]), (#"{"ensure_weight_tying": true}"#, ["ensure_weight_tying"]), ("{", []),
    ] as [(String, [String])] {
      life.write("adapter_config.json", config)
      let told = try adapted(Self.fields, Self.pair()).warnings
      #expect(told.map(\.subject) == subjects && told.allSatisfy { $0.description.count <= 300 }, "\(told)")
    }
  }
  @Test func `the model it was trained on is found in the metadata`() throws {
    func name(_ fields: [String: Field]) throws -> String? {
      LoRAAdapter.trainedOn(try FoundSource(at: life.write("a.gguf", Self.file(fields, tensors: Self.pair())), for: .adapter))
    }
    #expect(try name(Self.fields) == nil)
    #expect(try name(changed(["general.base_model.0.name": .text("Tiny\nModel")])) == "Tiny Model")
    #expect(try name(changed(["general.base_model.0.name": .text("Tiny"), "general.base_model.0.repo_url": .text("https://huggingface.co/a/tiny")])) == "a/tiny")
  }
}
