import Checkpoints
import JSON
import Tensors
import Testing

struct CheckpointConfigTests {
  static let small = """
    {"architecture": "LlamaForCausalLM", "dtype": "bfloat16", "hidden_size": 96, "num_hidden_layers": 5,
     "num_attention_heads": 6}
    """
  func config(_ changes: String = "{}") throws -> CheckpointConfig {
    var members = try JSONValue(parsing: Self.small).object ?? [:]
    for (key, value) in try JSONValue(parsing: changes, allowsNonFinite: true).object ?? [:] { members[key] = value }
    return try CheckpointConfig(parsing: .object(members))
  }
  func refusal(_ changes: String) -> String? {
    do { _ = try config(changes) } catch { return "\(error)" }
    return nil
  }

  @Test func `what is not given has upstream's default`() throws {
    let config = try config()
    #expect(config.elementType == .bfloat16 && config.logitsElementType == .float32)
    #expect(config.keyValueHeadCount == 6 && config.headSize == 16 && config.intermediateSize == 384)
    #expect(config.vocabularySize == 0 && config.maximumPositions == nil && config.normEpsilon == 1e-5)
    #expect(config.hiddenActivation == "gelu" && config.positionEmbeddingType == "learned_absolute")
    #expect(config.rotaryDimension == 16 && config.rotaryBase == 10000 && config.rotaryScaling == nil)
    #expect(!config.useParallelEmbedding && config.embeddingShardingDimension == 0 && !config.isPruned)
    #expect(!config.usesQueryKeyNorm && config.tieWordEmbeddings == nil)
    #expect(config.mapping == Mapping() && config.mapping.worldSize == 1)
    #expect(config.quantization == Quantization() && config.quantization.groupSize == 128)
    #expect(config.quantization.smoothQuantValue == 0.5)
  }
  @Test func `what is given is taken`() throws {
    let config = try config(
      """
      {"num_key_value_heads": 2, "head_size": 32, "intermediate_size": 7, "vocab_size": 11, "norm_epsilon": 1e-06,
       "rotary_pct": 0.5, "rotary_base": 500000.0, "rotary_scaling": {"type": "linear"}, "is_pruned": true,
       "mapping": {"world_size": 4, "tp_size": 2, "pp_size": 2, "moe_tp_size": -1, "moe_ep_size": 2, "future": 1},
       "quantization": {"quant_algo": "W4A16_AWQ", "kv_cache_quant_algo": "INT8", "group_size": 64, "clamp_val": [-1, 1.5],
         "exclude_modules": ["lm_head", "*router*"], "has_zero_point": true}}
      """)
    #expect(config.keyValueHeadCount == 2 && config.headSize == 32 && config.rotaryDimension == 16)
    #expect(config.normEpsilon == 1e-6 && config.rotaryBase == 500_000 && config.rotaryScaling?["type"] == "linear")
    #expect(config.isPruned && config.mapping.worldSize == 4 && config.mapping.expertTensorParallel == 1)
    #expect(config.quantization.algorithm == .w4a16AWQ && config.quantization.cacheAlgorithm == .int8)
    #expect(config.quantization.clampValue == [-1, 1.5] && config.quantization.excludedModules == ["lm_head", "*router*"])
    #expect(try self.config(#"{"rotary_embedding_dim": 4}"#).rotaryDimension == 4)
    #expect(try self.config(#"{"quantization": null, "mapping": null}"#).mapping == Mapping())
  }
  @Test(arguments: Quantization.Algorithm.allCases) func `every algorithm of the format is known`(algorithm: Quantization.Algorithm) throws {
    let read = try config(#"{"quantization": {"quant_algo": "\#(algorithm.rawValue)"}}"#).quantization.algorithm
    #expect(read == (algorithm == .none ? nil : algorithm))
  }
  @Test(arguments: [
    (#"{"architecture": null}"#, "architecture"), (#"{"architecture": 3}"#, "architecture"), (#"{"dtype": "int8"}"#, "dtype"),
    (#"{"dtype": null}"#, "dtype"), (#"{"hidden_size": null}"#, "hidden_size"), (#"{"hidden_size": "96"}"#, "hidden_size"),
    (#"{"hidden_size": 0}"#, "hidden_size"), (#"{"hidden_size": -1}"#, "hidden_size"),
    (#"{"hidden_size": 9223372036854775807}"#, "hidden_size"), (#"{"num_attention_heads": 1.5}"#, "num_attention_heads"),
    (#"{"norm_epsilon": "x"}"#, "norm_epsilon"), (#"{"embedding_sharding_dim": 2}"#, "embedding_sharding_dim"),
    (#"{"rotary_embedding_dim": 17}"#, "rotary_embedding_dim"), (#"{"rotary_pct": 2}"#, "rotary_pct"),
    (#"{"rotary_pct": NaN}"#, "rotary_pct"), (#"{"mapping": []}"#, "mapping"), (#"{"mapping": {"tp_size": "2"}}"#, "tp_size"),
    (#"{"mapping": {"tp_size": 0}}"#, "tp_size"), (#"{"mapping": {"tp_size": 2, "world_size": 1}}"#, "world_size"),
    (#"{"mapping": {"tp_size": 1048576, "pp_size": 1048576, "cp_size": 1048576}}"#, "ranks"),
    (#"{"mapping": {"pp_size": 6}}"#, "pp_size"), (#"{"mapping": {"tp_size": 4, "moe_ep_size": 3}}"#, "moe_ep_size"),
    (#"{"mapping": {"tp_size": 2, "cp_size": 2, "moe_ep_size": 2}}"#, "cp_size"),
    (#"{"mapping": {"attn_cp_size": 2}}"#, "attn_cp_size"), (#"{"quantization": {"quant_algo": "W3"}}"#, "W3"),
    (#"{"quantization": {"clamp_val": [1]}}"#, "clamp_val"), (#"{"quantization": 3}"#, "quantization"),
  ]) func `a field without a usable value is named`(changes: String, name: String) {
    let message = refusal(changes)
    #expect(message?.contains(name) == true, "\(changes): \(message ?? "accepted")")
  }

  @Test func `ranks count tensor first, context next, pipeline last; context ranks share files`() {
    let mapping = Mapping(tensorParallel: 2, pipelineParallel: 3, contextParallel: 2)
    #expect(mapping.worldSize == 12 && mapping.fileCount == 6)
    var rank = 0
    for pipeline in 0..<3 {
      for context in 0..<2 {
        for tensor in 0..<2 {
          #expect(mapping.rank(tensor: tensor, context: context, pipeline: pipeline) == rank)
          #expect((mapping.tensorRank(of: rank), mapping.contextRank(of: rank), mapping.pipelineRank(of: rank)) == (tensor, context, pipeline))
          // The format's own formula.
          #expect(mapping.fileIndex(rank) == rank % 2 + rank / (2 * 2) * 2)
          #expect(mapping.fileIndex(mapping.firstRank(ofFile: mapping.fileIndex(rank))) == mapping.fileIndex(rank))
          rank += 1
        }
      }
    }
  }
  @Test func `stages take every layer once, the first ones one more`() {
    for stages in 1...7 {
      for count in stages...20 {
        let mapping = Mapping(pipelineParallel: stages)
        let parts = (0..<stages).map { mapping.layers(ofStage: $0, layerCount: count) }
        #expect(parts.flatMap(Array.init) == Array(0..<count))
        #expect(parts.map(\.count) == (0..<stages).map { count / stages + ($0 < count % stages ? 1 : 0) })
      }
    }
  }
}
