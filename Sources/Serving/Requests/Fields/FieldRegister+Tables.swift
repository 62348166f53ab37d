import JSON

extension FieldRegister {
  private static func refused(_ names: [String], unless neutral: [JSONValue] = [], _ reason: String) -> [String: Ruling] {
    Dictionary(uniqueKeysWithValues: names.map { ($0, .refused(unless: neutral, because: reason)) })
  }
  private static func joined(_ tables: [String: Ruling]...) -> [String: Ruling] {
    tables.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
  }

  /// Other servers' names.
  static let spellings: [String: Ruling] = [
    // TGI, transformers; llama.cpp; SGLang.
    "max_new_tokens": .spelling(of: "max_tokens"), "n_predict": .spelling(of: "max_tokens"), "min_new_tokens": .spelling(of: "min_tokens"),
    "repeat_penalty": .spelling(of: "repetition_penalty"), "stop_sequences": .spelling(of: "stop"), "random_seed": .spelling(of: "seed"),
  ]

  /// What an answer must look like.
  static let constraints = joined(
    refused(
      [
        "guided_json", "guided_regex", "guided_choice", "guided_grammar", "guided_decoding", "guided_decoding_backend", "guided_whitespace_pattern",
        "structured_outputs", "structural_tag", "regex", "ebnf", "grammar", "grammar_lazy", "grammar_triggers", "json_schema",
      ], unless: ["", [:], [], false], "constrained decoding is not supported yet; ask for the form in the prompt"),
    refused(["bad_words"], unless: [[], ""], "words are not forbidden by their text; forbid tokens with logit_bias -100"),
    refused(["allowed_token_ids"], unless: [[]], "tokens cannot be confined to a list; raise or lower some with logit_bias"),
    refused(["stop_regex"], unless: ["", []], "answers end at texts and tokens only; use stop or stop_token_ids"),
    refused(["text"], unless: [[:], ["format": ["type": "text"]]], "constrained decoding is not supported yet; leave it out"),
    refused(["function_call"], unless: ["none", "auto"], "tool calls are not supported yet; leave it out"))

  /// How tokens are chosen.
  static let sampling = joined(
    refused(["typical_p", "tfs_z", "epsilon_cutoff", "eta_cutoff"], unless: [0, 1], "this way to choose tokens is not supported; use top_p, top_k or min_p"),
    refused(["mirostat", "mirostat_mode"], unless: [0], "mirostat is not supported; use temperature, top_p, top_k or min_p"),
    refused(["dynatemp_range", "smoothing_factor"], unless: [0], "the temperature is the same for all tokens; use temperature"),
    refused(["xtc_probability", "dry_multiplier", "top_a"], unless: [0], "this way to choose tokens is not supported; use repetition_penalty, top_p, top_k or min_p"),
    refused(["repeat_last_n", "repetition_penalty_range"], unless: [-1], "penalties look at the whole prompt and answer; leave it out"),
    refused(["n_keep", "n_discard", "n_indent", "t_max_predict_ms"], unless: [0, -1], "answers are neither shifted nor cut in this way; use max_tokens"),
    refused(["samplers", "sampler_seq", "sampling_seed"], unless: [[], ""], "the order of samplers is fixed, and a seed is called seed; leave it out"),
    refused(["do_sample"], unless: [true], "tokens are drawn where temperature is above 0; set temperature to 0 for the likeliest"),
    refused(["num_beams", "beam_width"], unless: [1], "beam search is not supported; use n or best_of"),
    refused(["logits_processors", "custom_logit_processor", "logit_processors"], unless: [[], ""], "programs of clients are not run; use logit_bias"),
    refused(["no_repeat_ngram_size"], unless: [0], "this penalty is not supported; use repetition_penalty"),
    refused(["exponential_decay_length_penalty", "encoder_repetition_penalty"], unless: [1, []], "this penalty is not supported; use repetition_penalty"),
    refused(["top_n_sigma"], unless: [-1, 0], "this way to choose tokens is not supported; use top_p, top_k or min_p"),
    refused(["min_keep"], unless: [0, 1], "top_p and min_p keep at least one token; leave it out"),
    refused(["penalize_nl"], unless: [true], "penalties look at line ends like at other tokens; leave it out"),
    refused(["thinking_token_budget", "max_thinking_tokens"], unless: [-1], "reasoning is not counted by itself; use max_tokens"),
    refused(["watermark"], unless: [false], "answers carry no watermark; leave it out"))

  /// What a reply holds.
  static let replies = joined(
    refused(["prompt_logprobs"], unless: [false], "the prompt's log-probabilities are given by /v1/completions with echo and logprobs"),
    refused(["return_full_text"], unless: [false], "the prompt comes back with echo"),
    refused(["return_tokens_as_token_ids", "return_token_ids", "return_tokens"], unless: [false], "replies hold texts; use \"detokenize\": false in /v1/completions for ids"),
    refused(["n_probs", "top_n_tokens", "top_logprobs_num"], unless: [0], "log-probabilities are asked for with logprobs and top_logprobs"),
    refused(["return_logprob"], unless: [false], "log-probabilities are asked for with logprobs"),
    refused(["return_hidden_states", "return_generation_logits", "return_encoder_output", "post_sampling_probs", "decoder_input_details"], unless: [false], "these numbers are not kept"),
    refused(["response_fields"], unless: [[]], "replies have all of their fields; leave it out"),
    refused(["no_stop_trim"], unless: [false], "a text that ended the answer is kept with include_stop_str_in_output"),
    refused(["modalities"], unless: [["text"], []], "the model answers in text alone; leave it out"),
    refused(["audio", "web_search_options", "include", "background", "previous_response_id"], unless: [false, [], [:]], "this server does not offer it; leave it out"))

  /// Which model answers, and what it is given beside the text.
  static let models = joined(
    refused(["lora_path", "lora_name", "adapter_id", "lora", "adapter"], unless: ["", [], 0], "adapters are not chosen per request; refit the engine, or change the weights of the server that runs"),
    refused(["input_prefix", "input_suffix", "input_extra"], unless: ["", []], "insertion is not supported"),
    refused(["image_data", "images", "multimodal_data", "mm_processor_kwargs", "video_data", "audio_data", "input_embeds", "prompt_embeds"], unless: [[], [:]], "the model reads text alone"),
    refused(["session_params", "kv_transfer_params", "bootstrap_host", "bootstrap_room", "conversation_params"], unless: [[:]], "the server keeps nothing of one request for another; send the whole conversation"),
    refused(["tool_prompt", "guideline"], unless: [""], "texts are not put in front of the conversation; send a system message"),
    refused(["vllm_xargs", "extra_args", "custom_params", "extra_body", "options"], unless: [[:]], "fields stand in the request itself; move them there"),
    refused(["inputs", "parameters"], "this is the form of another route; send prompt or messages and the fields beside it"))

  /// Accepted without effect.
  package static let harmless: [String: Ruling] = Dictionary(
    uniqueKeysWithValues: [
      // OpenAI: storing, accounting, speed, hints for models that reason.
      "store", "metadata", "service_tier", "prediction", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "verbosity", "parallel_tool_calls",
      // vLLM, SGLang: order of work, names of requests, splitting of reasoning, which no reply here has.
      "priority", "request_id", "rid", "include_reasoning", "separate_reasoning", "stream_reasoning", "data_parallel_rank", "return_cached_tokens_details",
      // llama.cpp: caches, slots, figures, and what belongs to ways of choosing that are refused.
      "cache_prompt", "id_slot", "slot_id", "timings_per_token", "return_progress", "reasoning_format", "parse_tool_calls", "thinking_forced_open",
      "mirostat_tau", "mirostat_eta", "dynatemp_exponent", "xtc_threshold", "dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers", "n_cache_reuse",
      // TGI and TensorRT-LLM: details of a reply that are left out.
      "details", "return_perf_metrics", "agent_hierarchy", "trace_headers", "keep_alive",
    ].map { ($0, .harmless) })
}
