import JSON

/// generation_config.json: run and serve take the end tokens from it, and how tokens are chosen where that is asked for.
enum GenerationSettings {
  /// Keys that name tokens, or say nothing about the answer.
  private static let harmless: Set<String> = [
    "bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "transformers_version", "use_cache", "cache_implementation",
    "cache_config", "output_attentions", "output_hidden_states", "output_scores", "output_logits", "return_dict_in_generate",
    "is_assistant", "disable_compile", "compile_config", "low_memory", "max_time", "trust_remote_code", "chat_format",
    "num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold", "prompt_lookup_num_tokens",
    "max_matching_ngram_size", "assistant_early_exit", "assistant_lookbehind", "target_lookbehind", "prefill_chunk_size",
    "remove_invalid_values", "num_return_sequences",
  ]
  /// Keys that do nothing unless `do_sample` is true.
  private static let sampling: Set<String> = [
    "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_h",
  ]
  /// Values that change nothing.
  private static let neutral: [String: Set<Double>] = [
    "temperature": [1], "top_k": [0], "top_p": [1], "min_p": [0], "typical_p": [1], "epsilon_cutoff": [0], "eta_cutoff": [0],
    "repetition_penalty": [1], "encoder_repetition_penalty": [1], "no_repeat_ngram_size": [0], "encoder_no_repeat_ngram_size": [0],
    "num_beams": [1], "num_beam_groups": [1], "diversity_penalty": [0], "length_penalty": [1], "min_length": [0],
    "guidance_scale": [1], "dola_layers": [],
  ]

  /// In the note of settings that can be asked for.
  static let advice = "only with '--generation_config auto'"

  /// What is to be said of settings that would change answers in transformers: those that can be asked for, then the others.
  static func notes(_ json: JSONValue?) -> [String] {
    let unused = unused(json)
    let known = unused.filter(SamplingDefaults.keys.contains)
    let others = unused.filter { !known.contains($0) }
    func list(_ keys: [String]) -> String {
      keys.prefix(10).map { key in
        if case .number(let number)? = json?[key] { "\(key) \(number.text.prefix(12))" } else { key }
      }.joined(separator: ", ") + (keys.count > 10 ? " and \(keys.count - 10) more" : "")
    }
    var notes: [String] = []
    if !known.isEmpty {
      notes.append(
        "generation_config.json: \(list(known)) \(known.count == 1 ? "counts" : "count") \(advice) of trtllm-run "
          + "and trtllm-serve, or given by hand: fields of a request, --temperature, --top_k and --top_p")
    }
    if !others.isEmpty {
      let bounds = others.contains("max_new_tokens") || others.contains("max_length")
      notes.append(
        "generation_config.json: \(list(others)) \(others.count == 1 ? "has" : "have") no effect here"
          + (bounds ? "; --max_output_len or a request's max_tokens bounds an answer" : ""))
    }
    return notes
  }

  /// Keys that would change answers in transformers and that nothing here uses by itself, sorted.
  static func unused(_ json: JSONValue?) -> [String] {
    let members = json?.object ?? [:]
    let samples = members["do_sample"]?.bool ?? false
    return members.compactMap { key, value -> String? in
      guard !key.hasPrefix("_"), !harmless.contains(key), samples || !sampling.contains(key) else { return nil }
      switch value {
      case .null, .bool(false): return nil
      case .array(let elements) where elements.isEmpty: return nil
      case .object(let members) where members.isEmpty: return nil
      case .number(let number):
        if let value = number.double, neutral[key]?.contains(value) == true { return nil }
        // What bounds an answer, or beams that there are not.
        if ["length_penalty", "early_stopping"].contains(key), members["num_beams"]?.int ?? 1 == 1 { return nil }
      case .bool where key == "early_stopping" && members["num_beams"]?.int ?? 1 == 1: return nil
      default: break
      }
      return key
    }.sorted()
  }
}

extension SamplingDefaults {
  /// Whether a note about a model's files only advises to use the settings that these are: who does needs no advice.
  public static func isAdvice(_ note: String) -> Bool {
    note.hasPrefix("generation_config.json: ") && note.contains(GenerationSettings.advice)
  }
}
