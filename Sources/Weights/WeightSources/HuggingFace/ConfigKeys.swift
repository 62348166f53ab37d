import JSON
import Tensors

/// Keys of a Hugging Face configuration that change no answer here, and what is said of the rest.
enum ConfigKeys {
  /// How the model was trained or saved, and settings of transformers and other programs for running it.
  static let harmless: Set<String> = [
    // About the file and its author.
    "_name_or_path", "name_or_path", "transformers_weights", "_commit_hash", "transformers_version", "transformers.js_config", "model_name", "unsloth_version",
    "unsloth_fixed", "unsloth_tied_embeddings", "is_llama_config", "tokenizer_class", "processor_class", "language", "license",
    // For training.
    "initializer_range", "initializer_factor", "attention_dropout", "attention_probs_dropout_prob", "hidden_dropout",
    "hidden_dropout_prob", "attn_pdrop", "embd_pdrop", "resid_pdrop", "gradient_checkpointing", "use_cache", "neftune_noise_alpha",
    "output_router_logits", "router_aux_loss_coef", "router_jitter_noise", "z_loss_coefficient", "max_sequence_length", "model_max_length",
    "tokenizer_model_max_length", "tokenizer_padding_side", "train_seq_length", "freeze_mm_mlp_adapter",
    // How transformers runs it.
    "attn_implementation", "_attn_implementation", "_attn_implementation_autoset", "_flash_attn_2_enabled", "use_flash_attention",
    "use_flash_attn", "flash_attn", "output_attentions", "output_hidden_states", "return_dict", "return_dict_in_generate", "use_return_dict",
    "torchscript", "use_bfloat16", "tf_legacy_loss", "chunk_size_feed_forward", "pretraining_tp", "tensor_parallel_degree",
    "keep_in_fp32", "low_cpu_mem_usage", "tie_encoder_decoder", "is_decoder",
    // For heads that a causal language model does not have.
    "id2label", "label2id", "num_labels", "problem_type", "finetuning_task", "task_specific_params", "classifier_dropout", "summary_type",
    // Read with the tokenizer and the generation settings.
    "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "unk_token_id", "decoder_start_token_id", "cls_token_id", "mask_token_id",
    "prefix", "chat_template",
    // Generation settings, which transformers 5 no longer takes from here.
    "max_length", "min_length", "max_new_tokens", "min_new_tokens", "do_sample", "early_stopping", "num_beams", "num_beam_groups",
    "diversity_penalty", "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "repetition_penalty",
    "encoder_repetition_penalty", "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids",
    "force_words_ids", "num_return_sequences", "output_scores", "output_logits", "forced_bos_token_id", "forced_eos_token_id",
    "remove_invalid_values", "renormalize_logits", "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens",
    "penalty_alpha", "guidance_scale", "sequence_bias", "low_memory", "max_time", "stop_strings", "cache_implementation",
  ]

  /// Values that mean the same as leaving the key out, where that is not null, false, zero or nothing.
  private static let neutral: [String: JSONValue] = [
    "embedding_multiplier": 1, "residual_multiplier": 1, "logits_scaling": 1, "logit_scale": 1, "attention_multiplier": 1,
    "embedding_scale": 1, "residual_scale": 1, "scale_emb": 1, "scale_depth": 1, "output_multiplier": 1, "lm_head_multiplier": 1,
    "mup_scale_factor": 1, "num_experts": 0, "num_local_experts": 0, "factor": 1, "attention_factor": 1, "mscale": 1,
    "use_rms_norm": true, "use_rmsnorm": true, "rms_norm": true, "norm_type": "rms_norm", "position_embedding_type": "rope",
    "use_rope": true, "parallel_attn": false, "hidden_activation": "silu", "use_sliding_window": true,
  ]

  /// One warning for each member that was not asked for and that says something.
  static func warnings(of config: ConfigReader, where context: String? = nil, except others: Set<String> = []) -> [SourceWarning] {
    let unused = config.unused.filter { key, value in !others.contains(key) && !harmless.contains(key) && !isNeutral(key, value) }
    return SourceWarning.few(
      unused.map { key, value in
        config.warning(key, "is \(SourceWarning.shortened(value.serialized(), to: 60)), and nothing \(context.map { "\($0) " } ?? "")uses it: check that answers do not depend on it")
      })
  }

  private static func isNeutral(_ key: String, _ value: JSONValue) -> Bool {
    switch value {
    case .null, .bool(false): return true
    case .string(let text): if text.isEmpty { return true }
    case .array(let elements):
      if elements.isEmpty || key == "layer_types" && elements.allSatisfy({ $0 == "full_attention" }) { return true }
    case .object(let members): if members.isEmpty { return true }
    case .number(let number):
      // Neither a dropout nor a window of nothing changes anything; a multiplier of nothing does.
      if number.double == 0 { return neutral[key]?.double != 1 }
      if let expected = neutral[key]?.double { return number.double == expected }
    case .bool(true): break
    }
    return neutral[key] == value
  }
}
