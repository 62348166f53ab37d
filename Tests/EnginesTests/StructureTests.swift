import Checkpoints
import EngineFixtures
import Engines
import Foundation
import JSON
import TestSupport
import Testing

/// A refit keeps the plan, so a source whose plan would be another one is refused, whichever member of its configuration
/// makes the difference.
@Suite struct StructureTests {
  /// A member of `config.json`, another value for it, and whether that makes another engine.
  struct Member: CustomTestStringConvertible {
    var key: String
    var value: JSONValue
    var isStructural = true
    /// How messages call it, where that is not `key`.
    var name: String?
    var testDescription: String { "\(key) = \(value.serialized())" }
  }
  /// By the name in ``CheckpointConfig``.
  private static let fields: [String: [Member]] = [
    "json": [],
    "architecture": [
      .init(key: "architecture", value: "GPTJForCausalLM"), .init(key: "architecture", value: "MistralForCausalLM", isStructural: false),
    ],
    "elementType": [.init(key: "dtype", value: "float16", isStructural: false)],
    "logitsElementType": [.init(key: "logits_dtype", value: "float16", isStructural: false)],
    "hiddenSize": [.init(key: "hidden_size", value: 44)],
    "layerCount": [.init(key: "num_hidden_layers", value: 1)],
    "headCount": [.init(key: "num_attention_heads", value: 2)],
    "keyValueHeadCount": [.init(key: "num_key_value_heads", value: 1)],
    "headSize": [.init(key: "head_size", value: 10)],
    "intermediateSize": [.init(key: "intermediate_size", value: 44)],
    "vocabularySize": [.init(key: "vocab_size", value: 36)],
    "normEpsilon": [.init(key: "norm_epsilon", value: .double(1e-6))],
    "hiddenActivation": [.init(key: "hidden_act", value: "gelu"), .init(key: "hidden_act", value: "swiglu", isStructural: false)],
    "positionEmbeddingType": [
      .init(key: "position_embedding_type", value: "rope_gptj"), .init(key: "position_embedding_type", value: "alibi"),
    ],
    "maximumPositions": [.init(key: "max_position_embeddings", value: 256, isStructural: false)],
    "rotaryBase": [.init(key: "rotary_base", value: 500000)],
    "rotaryDimension": [
      .init(key: "rotary_embedding_dim", value: 6), .init(key: "rotary_pct", value: .double(0.5)),
      .init(key: "rotary_embedding_dim", value: 12, isStructural: false),
    ],
    "rotaryScaling": [
      .init(key: "rotary_scaling", value: ["type": "linear", "factor": .double(2)]),
      .init(key: "rotary_scaling", value: ["rope_type": "yarn", "factor": .double(2)]),
      .init(key: "rotary_scaling", value: ["rope_type": "default"], isStructural: false),
      .init(key: "rotary_scaling", value: .null, isStructural: false),
    ],
    "usesQueryKeyNorm": [.init(key: "qk_layernorm", value: true)],
    "attentionBias": [.init(key: "attn_bias", value: true)],
    "mlpBias": [.init(key: "mlp_bias", value: true)],
    "tieWordEmbeddings": [.init(key: "tie_word_embeddings", value: false, isStructural: false)],
    // One rank has the whole table either way.
    "useParallelEmbedding": [.init(key: "use_parallel_embedding", value: true, isStructural: false)],
    "embeddingShardingDimension": [.init(key: "embedding_sharding_dim", value: 1, isStructural: false)],
    "isPruned": [.init(key: "is_pruned", value: true, isStructural: false)],
    "mapping": [.init(key: "mapping", value: ["world_size": 2, "cp_size": 2], name: "mapping.cp_size")],
    "quantization": [.init(key: "quantization", value: ["quant_algo": "FP8"])],
  ]
  /// Members that the planner reads by themselves, see ``CheckpointConfig/json``.
  private static let others: [String: [Member]] = [
    "attention_multiplier": [.init(key: "attention_multiplier", value: .double(2)), .init(key: "attention_multiplier", value: 1, isStructural: false)],
    "embedding_multiplier": [.init(key: "embedding_multiplier", value: .double(12))],
    "residual_multiplier": [.init(key: "residual_multiplier", value: .double(0.22))],
    "qk_layernorm": [.init(key: "qk_layernorm", value: false, isStructural: false)],
    "residual_mlp": [.init(key: "residual_mlp", value: true)],
    "moe": [.init(key: "moe", value: ["num_experts": 8]), .init(key: "moe", value: ["num_experts": 0], isStructural: false)],
    "output_multiplier_scale": [.init(key: "output_multiplier_scale", value: .double(0.125))],
    // Within the window attention sees everything: 64 of the engine's 128 positions are too few, 128 are not.
    "sliding_window": [.init(key: "sliding_window", value: 64), .init(key: "sliding_window", value: 128, isStructural: false)],
    "position_embedding_type": [],  // among the fields
    "no_such_member": [.init(key: "no_such_member", value: 1, isStructural: false)],
  ]

  private static let model = SmallModel(layers: 2)
  private func engine(_ model: SmallModel = model) async throws -> (Lifecycle, EngineDirectory) {
    let life = Lifecycle.unmeasured()
    try await life.build(try model.write(life.directory, "A", seed: 30), "engine")
    return (life, try EngineDirectory(life.directory("engine")))
  }
  private func prepare(_ life: Lifecycle, _ engine: EngineDirectory, _ members: JSONObject, of model: SmallModel = model) async throws -> Refitter.Prepared {
    var other = model
    other.members = members
    remove(life.directory("B"))
    let source = try RefitSource(try other.write(life.directory, "B", seed: 30), for: engine)
    return try await Refitter(engine: engine).prepare(source)
  }
  private func told(_ problems: [RefitProblem], _ name: String) -> Bool {
    problems.contains { problem in
      switch problem {
      case .configuration(name, _, _): true
      case .vocabulary: name == "vocab_size"
      default: false
      }
    }
  }

  @Test(arguments: (fields.values.flatMap { $0 } + others.values.flatMap { $0 }).sorted { $0.testDescription < $1.testDescription })
  func `a member that makes another plan is told, any other is not`(_ member: Member) async throws {
    let (life, engine) = try await engine()
    guard member.isStructural else {
      _ = try await prepare(life, engine, [member.key: member.value])
      return
    }
    let before = snapshot(life.directory("engine"))
    let error = await #expect(throws: RefitError.self) { try await prepare(life, engine, [member.key: member.value]) }
    #expect(told(error?.problems ?? [], member.name ?? member.key), "\(error?.problems ?? [])")
    #expect(snapshot(life.directory("engine")) == before)
  }

  /// The table above names every field of a configuration and every member that the planner reads beside them.
  @Test func `no member that the planner reads is without a test`() throws {
    let config = try CheckpointConfig(parsing: Self.model.config)
    let labels = Set(Mirror(reflecting: config).children.compactMap(\.label))
    #expect(labels == Set(Self.fields.keys), "a new field: say here whether it makes another engine")
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Sources")
    var read: Set<String> = []
    for module in ["Models/Networks", "Models/Families", "Engines"] {
      let folder = root.appendingPathComponent(module)
      for file in try FileManager.default.subpathsOfDirectory(atPath: folder.path) where file.hasSuffix(".swift") {
        let text = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
        for match in text.matches(of: /config\.json\["([a-z_]+)"\]/) { read.insert(String(match.1)) }
        guard text.contains("extension CheckpointConfig") else { continue }
        for match in text.matches(of: /[^.\w]json\["([a-z_]+)"\]/) { read.insert(String(match.1)) }
      }
    }
    #expect(read.count >= 7 && read.isSubset(of: Self.others.keys), "\(read.subtracting(Self.others.keys))")
  }

  @Test func `several differences are told together, each by its name`() async throws {
    let (life, engine) = try await engine()
    let error = await #expect(throws: RefitError.self) {
      try await prepare(
        life, engine,
        ["rotary_base": 500000, "attention_multiplier": .double(2), "sliding_window": 16, "hidden_act": "relu", "max_position_embeddings": 64],
        of: SmallModel(layers: 2, tensorParallel: 2))
    }
    let problems = error?.problems ?? []
    for name in ["rotary_base", "attention_multiplier", "sliding_window", "hidden_act"] { #expect(told(problems, name), "\(name)") }
    #expect(problems.contains { if case .sharding("mapping.tp_size", 1, 2, 1, 1) = $0 { true } else { false } })
    #expect(problems.filter { if case .configuration = $0 { true } else { false } }.count == 4, "\(problems)")
  }

  @Test func `a split of the embedding table makes another engine where there are ranks`() async throws {
    let model = SmallModel(layers: 2, tensorParallel: 2)
    let (life, engine) = try await engine(model)
    for dimension in [0, 1] {
      var other = model
      other.parallelEmbedding = dimension
      let error = await #expect(throws: RefitError.self) { try await prepare(life, engine, [:], of: other) }
      #expect(told(error?.problems ?? [], "use_parallel_embedding"), "\(error?.problems ?? [])")
    }
  }

  /// A GGUF file holds these numbers in float32.
  @Test func `a number that only lost digits on its way is the same`() async throws {
    var model = Self.model
    model.members = ["rotary_base": .double(10000.1), "rotary_scaling": ["rope_type": "linear", "factor": .double(1.7)]]
    let (life, engine) = try await engine(model)
    _ = try await prepare(
      life, engine,
      [
        "rotary_base": .double(Double(Float(10000.1))), "norm_epsilon": .double(Double(Float(1e-5))),
        "rotary_scaling": ["type": "linear", "factor": .double(Double(Float(1.7))), "unused": 3],
      ])
  }

  @Test func `a window that cuts sequences short is the engine's as well`() async throws {
    var model = Self.model
    model.members = ["sliding_window": 64]
    let (life, engine) = try await engine(model)
    #expect(engine.ranks[0].plan.limits.sequenceLength == 64)
    _ = try await prepare(life, engine, ["sliding_window": 64])
    // Without a window, and with a wider one, 64 positions are right too.
    _ = try await prepare(life, engine, [:])
    _ = try await prepare(life, engine, ["sliding_window": 96])
    let error = await #expect(throws: RefitError.self) { try await prepare(life, engine, ["sliding_window": 63]) }
    #expect(told(error?.problems ?? [], "sliding_window"))
  }

  @Test func `live weights are checked the same way`() async throws {
    let (life, engine) = try await engine()
    let live = try await LiveRefitter(engine)
    var other = Self.model
    other.members = ["embedding_multiplier": .double(2)]
    let path = try other.write(life.directory, "B", seed: 30)
    let error = await #expect(throws: RefitError.self) { try await live.make(LiveSource(path: path.string)) }
    #expect(told(error?.problems ?? [], "embedding_multiplier"))
  }

  /// What no member explains is an error all the same.
  @Test func `a plan that is not that of the engine's own configuration is not refitted`() async throws {
    let (life, _) = try await engine()
    var forge = try EngineForge(life.directory("engine"))
    let norm = forge.plans[0].operations("norm")[0]
    forge.plans[0][at: "operations"][at: norm][at: "epsilon"] = .double(1e-3)
    #expect(try forge.write(to: life.directory("forged")))
    let forged = try EngineDirectory(life.directory("forged"))
    let error = await #expect(throws: RefitError.self) { try await prepare(life, forged, [:]) }
    #expect(error?.problems.count == 1, "\(error?.problems ?? [])")
    // A source that is an engine has a plan of its own, which must be its configuration's as well.
    let engine = try EngineDirectory(life.directory("engine"))
    let other = await #expect(throws: RefitError.self) {
      try await Refitter(engine: engine).prepare(try RefitSource(life.directory("forged"), for: engine))
    }
    #expect(other?.problems.count == 1, "\(other?.problems ?? [])")
  }

  @Test(arguments: SmallModel.all) func `engines of every kind refit from what they were built of, and from themselves`(_ model: SmallModel) async throws {
    let (life, engine) = try await engine(model)
    _ = try await Refitter(engine: engine).prepare(try RefitSource(life.directory("A"), for: engine))
    _ = try await Refitter(engine: engine).prepare(try RefitSource(life.directory("engine"), for: engine))
    try await life.strip("engine", to: "stripped")
    let stripped = try EngineDirectory(life.directory("stripped"))
    _ = try await Refitter(engine: stripped).prepare(try RefitSource(life.directory("engine"), for: stripped))
  }
}
