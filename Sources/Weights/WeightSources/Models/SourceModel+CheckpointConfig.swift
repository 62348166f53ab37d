import Families
public import Checkpoints
public import JSON
public import Tensors

extension SourceModel {
  /// A TensorRT-LLM checkpoint's `config.json`, with every field that upstream's converter writes for this class.
  ///
  /// - Parameter elementType: One of ``ElementType/checkpointTypes``.
  public func checkpointConfig(elementType: ElementType, mapping: Mapping) -> JSONValue {
    var members: JSONObject = [
      "mlp_bias": .bool(mlpBias),
      "attn_bias": .bool(attentionBias),
      "rotary_base": .number(rotaryBase),
      "rotary_scaling": rotaryScaling ?? .null,
      "residual_mlp": false,
      "disable_weight_only_quant_plugin": false,
      "moe": [
        "num_experts": .int(shape.experts?.count ?? 0), "shared_expert_intermediate_size": 0, "top_k": .int(shape.experts?.chosen ?? 0),
        "normalization_mode": .int(shape.experts?.normalizes == true ? 1 : 0),
        "sparse_mixer_epsilon": .number(JSONNumber(0.01)), "tp_mode": 0, "device_limited_n_group": 0,
        "device_limited_topk_group": 0, "device_limited_routed_scaling_factor": .number(JSONNumber(1.0)),
      ],
      "remove_duplicated_kv_heads": false,
      "fc_after_embed": false,
      "use_input_layernorm_in_first_layer": true,
      "use_last_layernorm": true,
      "layer_idx_offset": 0,
      "architecture": .string(architecture),
      "dtype": .string(elementType.configName ?? "float32"),
      "vocab_size": .int(shape.vocabularySize),
      "hidden_size": .int(shape.hiddenSize),
      "num_hidden_layers": .int(shape.layerCount),
      "num_attention_heads": .int(shape.headCount),
      "hidden_act": .string(hiddenActivation),
      "logits_dtype": "float32",
      "norm_epsilon": .number(normEpsilon),
      "runtime_defaults": nil,
      "position_embedding_type": "rope_gpt_neox",
      "num_key_value_heads": .int(shape.keyValueHeadCount),
      "intermediate_size": .int(shape.intermediateSize),
      "max_position_embeddings": maximumPositions.map { .int($0) } ?? .null,
      "mapping": mapping.json,
      "quantization": [
        "quant_algo": nil, "kv_cache_quant_algo": nil, "group_size": 128, "smoothquant_val": .number(JSONNumber(0.5)),
        "clamp_val": nil, "use_meta_recipe": false, "has_zero_point": false, "pre_quant_scale": false,
        "exclude_modules": nil,
      ],
      "use_parallel_embedding": false,
      "embedding_sharding_dim": 0,
      "head_size": .int(shape.headSize),
      "qk_layernorm": false,
      "rotary_embedding_dim": .int(rotaryDimension),
      "tie_word_embeddings": .bool(tiesEmbeddings),
    ]
    members.merge(family.checkpointFields) { $1 }
    // Fields that only some models have; upstream keeps what it does not know.
    if let slidingWindow { members["sliding_window"] = .int(slidingWindow) }
    if let layers { members.merge(layers.checkpointFields) { $1 } }
    if let turnedLayers { members["no_rope_layers"] = .ints(turnedLayers.map { $0 ? 1 : 0 }) }
    members.merge(multiplierFields) { $1 }
    if let experts = shape.experts { members.merge(Self.fields(of: experts, hiddenActivation)) { $1 } }
    return .object(members)
  }

  /// Under upstream's names. Of scores it wants the factor beside 1/√headSize, of logits what they are multiplied by.
  private var multiplierFields: JSONObject {
    var members: JSONObject = [:]
    for multiplier in family.decoder.multipliers {
      guard let number = multipliers[multiplier.place], let value = number.double else { continue }
      switch multiplier.place {
      case .embedding: members["embedding_multiplier"] = .number(number)
      case .scores: members["attention_multiplier"] = .double(value * Double(shape.headSize).squareRoot())
      case .residual: members["residual_multiplier"] = .number(number)
      case .logits: members["output_multiplier_scale"] = multiplier.divides ? .double(1 / value) : .number(number)
      }
    }
    return members
  }

  /// What upstream says of a model with experts beside its `moe`: the activation of a fused MLP, the width of an expert. Layers with one
  /// MLP are written as in Hugging Face's configurations.
  private static func fields(of experts: ExpertShape, _ activation: String) -> JSONObject {
    let fused = ["silu": "swiglu", "gelu": "geglu"]
    var members: JSONObject = ["hidden_act": .string(fused[activation] ?? activation), "moe_intermediate_size": .int(experts.intermediateSize)]
    if !experts.denseLayers.isEmpty { members["mlp_only_layers"] = .ints(experts.denseLayers.sorted()) }
    return members
  }
}

extension SourceLayers {
  /// Under upstream's names, where it has any.
  fileprivate var checkpointFields: JSONObject {
    func number(_ value: JSONNumber?) -> JSONValue { value.map { .number($0) } ?? .null }
    var members: JSONObject = [
      "layer_types": .array(isWindowed.map { $0 ? "sliding_attention" : "full_attention" }),
      "query_pre_attn_scalar": number(queryScalar), "final_logit_softcapping": number(logitSoftCap),
    ]
    if let localBase { members["rope_local_base_freq"] = .number(localBase) }
    if let scoreSoftCap { members["attn_logit_softcapping"] = .number(scoreSoftCap) }
    let pattern = (isWindowed.firstIndex(of: false) ?? isWindowed.count) + 1
    if isWindowed == LayerDefaults.windows(pattern: pattern, layerCount: isWindowed.count) { members["sliding_window_pattern"] = .int(pattern) }
    return members
  }
}
