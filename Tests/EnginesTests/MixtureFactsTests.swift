import Checkpoints
import EngineFixtures
import Families
import Files
import JSON
import SystemPackage
import TestSupport
import Testing
import WeightSources

/// Configurations of models with mixtures of experts, against what transformers 5 makes of them (`Scripts/reference/mixture_facts.py`).
@Suite struct MixtureFactsTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let json: JSONValue
    var name: String { json["name"]?.string ?? "" }
    var testDescription: String { name }
  }
  private static let place = FilePath(#filePath).removingLastComponent().appending("Expected")
  static let cases: [Case] = {
    guard let text = contents(place.appending("mixture-facts.json")), let json = try? JSONValue(parsing: text) else { return [] }
    return (json["cases"]?.array ?? []).map { Case(json: $0) }
  }()
  /// What is said; of everything else nothing is.
  static let warned = ["shares: said to be not divided, Mixtral": [], "width: of its own, Mixtral": ["moe_intermediate_size"]]

  private let directory = TemporaryDirectory(inMemory: true)

  private func open(_ config: JSONValue) throws -> ModelSource {
    let tensors = config["model_type"] == "mixtral" ? "mixtral" : "qwen3-moe"
    directory.write("model/model.safetensors", contents(Self.place.appending("families/\(tensors)/model.safetensors")) ?? [])
    directory.write("model/config.json", config.serialized())
    return try ModelSource(directory("model"))
  }

  @Test func `there are cases`() {
    #expect(Self.cases.count > 30)
    #expect(Set(Self.cases.map(\.name)).isSuperset(of: Self.warned.keys))
  }

  @Test(arguments: cases) func `a fact is read where transformers reads it`(_ test: Case) throws {
    let config = try #require(test.json["config"]), expected = try #require(test.json["expected"])
    guard expected["refused"] == nil else {
      let error = #expect(throws: WeightSourceError.self) { _ = try open(config) }
      #expect("\(try #require(error))".count < 300)
      return
    }
    let source = try open(config)
    #expect(source.warnings.map(\.subject) == Self.warned[test.name] ?? [], "\(source.warnings)")
    let model = source.model
    let experts = try #require(model.shape.experts)
    #expect(experts.count == expected["count"]?.int && experts.chosen == expected["chosen"]?.int)
    #expect(experts.normalizes == expected["normalizes"]?.bool && experts.intermediateSize == expected["width"]?.int)
    #expect(experts.denseLayers.sorted() == (expected["dense"]?.array ?? []).compactMap(\.int))
    #expect(model.normEpsilon.double == expected["epsilon"]?.double && model.rotaryBase.double == expected["base"]?.double)
    #expect(model.maximumPositions == expected["positions"]?.int && model.slidingWindow == expected["window"]?.int)
    #expect(model.shape.keyValueHeadCount == expected["keyValueHeads"]?.int && model.shape.headSize == expected["headSize"]?.int)
    // A checkpoint says the same.
    let checkpoint = try CheckpointConfig(parsing: model.checkpointConfig(elementType: .float32, mapping: Mapping()))
    #expect(try ShardLayout(config: checkpoint, origin: "test").shape.experts == experts)
  }

  @Test(
    arguments: [
      ("num_experts", 0, "num_experts"), ("num_experts", -1, "num_experts"), ("num_experts", 1_048_576, "num_experts"),
      ("num_experts_per_tok", 7, "6 experts"), ("num_experts_per_tok", 0, "num_experts_per_tok"), ("decoder_sparse_step", 0, "decoder_sparse_step"),
      ("mlp_only_layers", "all", "mlp_only_layers"), ("moe_intermediate_size", 0, "moe_intermediate_size"), ("norm_topk_prob", 1, "norm_topk_prob"),
    ] as [(String, JSONValue, String)]) func `what cannot be had is refused by name`(key: String, value: JSONValue, says: String) throws
  {
    var config = try #require(Self.cases.first?.json["config"]?.object)
    config[key] = value
    let error = #expect(throws: WeightSourceError.self) { _ = try open(.object(config)) }
    #expect("\(try #require(error))".contains(says), "\(String(describing: error))")
  }

  /// What a checkpoint's configuration says, as upstream writes it today and did before.
  @Test func `a checkpoint's experts are read as upstream writes them, and others are refused`() throws {
    var model = SmallModel(layers: 3)
    model.members = ["architecture": "MixtralForCausalLM", "moe": ["num_experts": 8, "top_k": 2]]
    func experts() throws -> ExpertShape? { try ShardLayout(config: CheckpointConfig(parsing: model.config), origin: "test").shape.experts }
    let wanted = ExpertShape(count: 8, chosen: 2, normalizes: true, intermediateSize: 40)
    #expect(try experts() == wanted)
    model.members = ["architecture": "MixtralForCausalLM", "moe_num_experts": 8, "moe_top_k": 2, "moe_normalization_mode": 1]
    #expect(try experts() == wanted)
    for (member, value, says) in [
      ("num_experts", .int(0), "num_experts"), ("top_k", .int(9), "top_k"), ("normalization_mode", .int(2), "normalization_mode"),
      ("shared_expert_intermediate_size", .int(8), "shared_expert_intermediate_size"),
    ] as [(String, JSONValue, String)] {
      var moe: JSONObject = ["num_experts": 8, "top_k": 2]
      moe[member] = value
      model.members = ["architecture": "MixtralForCausalLM", "moe": .object(moe)]
      let error = #expect(throws: UnsupportedModel.self) {
        _ = try ModelFamily.network(config: try CheckpointConfig(parsing: model.config), rank: 0, sharesEmbedding: false)
      }
      #expect(error?.description.contains(says) == true)
    }
    // A family without.
    model.members = ["moe": ["num_experts": 8, "top_k": 2]]
    let error = #expect(throws: UnsupportedModel.self) {
      _ = try ModelFamily.network(config: try CheckpointConfig(parsing: model.config), rank: 0, sharesEmbedding: false)
    }
    #expect(error?.description.contains("moe.num_experts") == true)
  }

  @Test func `experts that cannot be shared by the ranks are refused by name`() throws {
    var model = SmallModel(layers: 2, tensorParallel: 2)
    func refusal(_ members: JSONObject) -> (layout: String, network: String) {
      model.members = ["architecture": "MixtralForCausalLM", "intermediate_size": 32, "moe": ["num_experts": 3, "top_k": 2]]
      model.members.merge(members) { $1 }
      var texts = ("", "")
      do { _ = try ShardLayout(config: CheckpointConfig(parsing: model.config), origin: "test") } catch { texts.0 = "\(error)" }
      do { _ = try ModelFamily.network(config: CheckpointConfig(parsing: model.config), rank: 1, sharesEmbedding: false) } catch { texts.1 = "\(error)" }
      return texts
    }
    #expect(refusal([:]) == ("", ""))
    for (members, says) in [
      (["mapping": ["tp_size": 2, "moe_ep_size": 2]], "moe_ep_size"), (["intermediate_size": 24], "intermediate"),
      (["hidden_size": 40], "hidden"), (["mapping": ["tp_size": 2, "moe_cluster_size": 2]], "moe_cluster_size"),
    ] as [(JSONObject, String)] {
      let texts = refusal(members)
      #expect(texts.layout.replacing(" ", with: "_").contains(says) && texts.network.contains(says), "\(texts)")
    }
  }
}
