public import JSON
public import SystemPackage
public import Tensors

/// What `config.json` of a checkpoint says, with upstream's defaults filled in.
///
/// Only fields that mean the same for every family are here; a family reads its own from ``json``.
public struct CheckpointConfig: Sendable {
  /// The whole document as written.
  public let json: JSONValue
  /// `architecture`, such as `LlamaForCausalLM`; any text, known here or not.
  public let architecture: String
  /// Type of weights and activations that are not quantised.
  public let elementType: ElementType
  /// `logits_dtype`; float32 where nothing says.
  public let logitsElementType: ElementType
  /// `hidden_size`: width of the residual stream.
  public let hiddenSize: Int
  /// `num_hidden_layers`, of all pipeline stages together; from 1 to ``maximumLayerCount``.
  public let layerCount: Int
  /// `num_attention_heads`: query heads of the whole model.
  public let headCount: Int
  /// The model's own number, however often a KV head is repeated over ranks.
  public let keyValueHeadCount: Int
  /// `head_size`; the hidden size over the number of heads where nothing says.
  public let headSize: Int
  /// `intermediate_size` of the MLP; four times the hidden size where nothing says.
  public let intermediateSize: Int
  /// Without padding; 0 where the file gives none.
  public let vocabularySize: Int
  /// `norm_epsilon`; 1e-5 where nothing says.
  public let normEpsilon: Double
  /// `hidden_act` as upstream spells it, such as `silu`; `gelu` where nothing says.
  public let hiddenActivation: String
  /// `position_embedding_type` as upstream spells it, such as `rope_gpt_neox`; `learned_absolute` where nothing says.
  public let positionEmbeddingType: String
  /// `max_position_embeddings`, in tokens; nil where nothing says.
  public let maximumPositions: Int?
  /// `rotary_base`, or `rotary_emb_base` of older files; 10,000 where nothing says.
  public let rotaryBase: Double
  /// How many of a head's numbers are rotated.
  public let rotaryDimension: Int
  /// `rotary_scaling` as written; nil where there is none or null.
  public let rotaryScaling: JSONValue?
  /// `qk_layernorm`; false where nothing says. Which norms a network has is its family's to say.
  public let usesQueryKeyNorm: Bool
  /// `attn_bias`: queries, keys and values have biases. nil where nothing says: what that means is the family's to say.
  public let attentionBias: Bool?
  /// `mlp_bias`; false where nothing says.
  public let mlpBias: Bool
  /// `tie_word_embeddings`: the head is the embedding table. nil where nothing says.
  public let tieWordEmbeddings: Bool?
  /// `use_parallel_embedding`: the embedding table is shared out over tensor-parallel ranks. False where nothing says.
  public let useParallelEmbedding: Bool
  /// 0: vocabulary rows are shared out; 1: columns.
  public let embeddingShardingDimension: Int
  /// `is_pruned`: tensors may have no values. False where nothing says.
  public let isPruned: Bool
  /// One rank where nothing says.
  public let mapping: Mapping
  /// What `quantization` says. Layers of `MIXED_PRECISION` are there once a ``Checkpoint`` has read them.
  public internal(set) var quantization: Quantization

  /// Tables are made with entries for every layer, so their number is bounded: the deepest published models have a few hundred.
  public static let maximumLayerCount = 1 << 12

  /// - Parameter path: The file, for messages.
  /// - Throws: ``CheckpointError`` naming what is missing or has no usable value.
  public init(parsing json: JSONValue, path: FilePath = "config.json") throws(CheckpointError) {
    let fields = FieldReader(json, path: path)
    guard json.object != nil else { throw CheckpointError(path, .refused(reason: "should hold a JSON object, but holds \(json.kind).")) }
    self.json = json
    try fields.checkTogether(
      path: path, strings: ["architecture", "dtype"], counts: ["hidden_size", "num_hidden_layers", "num_attention_heads"],
      optionalCounts: ["num_key_value_heads", "head_size", "intermediate_size", "vocab_size", "max_position_embeddings"])
    architecture = try fields.required("architecture", fields.string("architecture"))
    elementType = try Self.type(fields, "dtype", default: nil)
    logitsElementType = try Self.type(fields, "logits_dtype", default: .float32)
    hiddenSize = try fields.required("hidden_size", fields.count("hidden_size"))
    layerCount = try fields.required("num_hidden_layers", fields.count("num_hidden_layers", limit: Self.maximumLayerCount))
    headCount = try fields.required("num_attention_heads", fields.count("num_attention_heads"))
    keyValueHeadCount = try fields.count("num_key_value_heads") ?? headCount
    headSize = try fields.count("head_size") ?? max(1, hiddenSize / headCount)
    intermediateSize = try fields.count("intermediate_size") ?? 4 * hiddenSize
    vocabularySize = try fields.count("vocab_size") ?? 0
    normEpsilon = try fields.double("norm_epsilon") ?? 1e-5
    hiddenActivation = try fields.string("hidden_act") ?? "gelu"
    positionEmbeddingType = try fields.string("position_embedding_type") ?? "learned_absolute"
    maximumPositions = try fields.count("max_position_embeddings")
    rotaryBase = try fields.first("rotary_base", "rotary_emb_base", fields.double) ?? 10000
    rotaryDimension = try Self.rotaryDimension(fields, headSize: headSize)
    rotaryScaling = json["rotary_scaling"].flatMap(\.unlessNull)
    usesQueryKeyNorm = try fields.bool("qk_layernorm") ?? false
    attentionBias = try fields.bool("attn_bias")
    mlpBias = try fields.bool("mlp_bias") ?? false
    tieWordEmbeddings = try fields.bool("tie_word_embeddings")
    useParallelEmbedding = try fields.bool("use_parallel_embedding") ?? false
    embeddingShardingDimension = try fields.int("embedding_sharding_dim") ?? 0
    guard (0...1).contains(embeddingShardingDimension) else {
      throw fields.failed("embedding_sharding_dim", "is \(embeddingShardingDimension) instead of 0 or 1")
    }
    isPruned = try fields.bool("is_pruned") ?? false
    mapping = try Mapping(json["mapping"], path: path)
    quantization = try Quantization(json["quantization"], fields)
    guard mapping.pipelineParallel <= layerCount else {
      throw CheckpointError(
        path, .mapping(reason: "pp_size \(mapping.pipelineParallel) is more than the model's \(layerCount) layers"))
    }
  }

  private static func type(
    _ fields: FieldReader, _ key: String, default fallback: ElementType?
  ) throws(CheckpointError) -> ElementType {
    guard let name = try fields.string(key) else {
      if let fallback { return fallback }
      throw fields.failed(key, "is missing")
    }
    guard let type = ElementType(configName: name), [.float16, .bfloat16, .float32].contains(type) else {
      throw fields.failed(key, "is '\(name)' instead of float16, bfloat16 or float32")
    }
    return type
  }

  private static func rotaryDimension(_ fields: FieldReader, headSize: Int) throws(CheckpointError) -> Int {
    if let given = try fields.first("rotary_embedding_dim", "rotary_dim", fields.int) {
      guard (0...headSize).contains(given) else {
        throw fields.failed("rotary_embedding_dim", "is \(given), which is more than a head's \(headSize) numbers")
      }
      return given
    }
    let share = try fields.double("rotary_pct") ?? 1
    guard (0...1).contains(share) else { throw fields.failed("rotary_pct", "is \(share) instead of 0 to 1") }
    return Int(Double(headSize) * share)
  }
}
