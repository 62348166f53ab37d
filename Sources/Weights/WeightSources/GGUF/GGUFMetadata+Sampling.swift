import JSON

extension GGUFMetadata {
  /// How the model's author wants tokens chosen (`general.sampling.*`), which llama.cpp takes for its defaults: under the names of
  /// generation_config.json where that has one, and what is to be said of the others.
  var sampling: (members: JSONObject, notes: [String]) {
    var members: JSONObject = [:]
    var notes: [String] = []
    for (key, value) in values.sorted(by: { $0.key < $1.key }) where key.hasPrefix(Self.samplingPrefix) {
      let name = String(key.dropFirst(Self.samplingPrefix.count))
      guard let (own, range) = Self.samplingNames[name] else {
        if hasEffect(name) { notes.append("metadata: \(key) is \(value.text) and has no effect here") }
        continue
      }
      guard let number = value.double, number.isFinite else {
        notes.append("metadata: \(key) is \(value.kind), expected a number: left out")
        continue
      }
      // Beyond the range llama.cpp does what it does at its end.
      let kept = min(max(number, range.lowerBound), range.upperBound)
      members[own] = own == "top_k" ? .int(Int(kept)) : .number(JSONNumber(kept))
    }
    // Only with it do the others count, as in transformers; the likeliest token needs none of them.
    if !members.isEmpty, members.keys.contains(where: { $0 != "repetition_penalty" }) {
      members["do_sample"] = .bool(members["temperature"]?.double != 0)
    }
    return (members, notes)
  }

  private static let samplingPrefix = "general.sampling."
  private static let samplingNames: [String: (String, ClosedRange<Double>)] = [
    "temp": ("temperature", 0...100), "top_k": ("top_k", 0...1e9), "top_p": ("top_p", 0...1), "min_p": ("min_p", 0...1),
    "penalty_repeat": ("repetition_penalty", 0.01...100),
  ]

  /// Whether a setting that nothing here knows would change answers: some do nothing without another.
  private func hasEffect(_ name: String) -> Bool {
    func isOn(_ name: String) -> Bool { values[Self.samplingPrefix + name].map { ($0.double ?? 1) != 0 } ?? false }
    return switch name {
    case "mirostat_tau", "mirostat_eta": isOn("mirostat")
    case "xtc_threshold": isOn("xtc_probability")
    case "penalty_last_n": isOn("penalty_repeat")
    default: isOn(name)
    }
  }

  /// What is to be said of keys about the tokenizer and the choice of tokens that nothing here uses.
  var tokenizerNotes: [String] {
    let unused = values.filter { key, value in
      key.hasPrefix(Self.tokenizerPrefix) && !Self.tokenizerNames.contains(String(key.dropFirst(Self.tokenizerPrefix.count))) && !value.saysNothing
    }.sorted { $0.key < $1.key }.map {
      "metadata: \($0.key) is \($0.value.text), and nothing uses it: check that \(Self.choiceNames.contains(String($0.key.dropFirst(Self.tokenizerPrefix.count))) ? "answers" : "prompts") do not depend on it"
    }
    guard unused.count > 10 else { return sampling.notes + unused }
    return sampling.notes + unused.prefix(9) + ["metadata: \(unused.count - 9) more keys of the tokenizer that nothing uses"]
  }

  private static let tokenizerPrefix = "tokenizer.ggml."
  /// Those that say which tokens are never chosen.
  private static let choiceNames: Set<String> = ["suppress_tokens"]
  /// Those that are read, and those that change nothing in a tokenizer that can be made here.
  private static let tokenizerNames: Set<String> = [
    "model", "pre", "tokens", "token_type", "token_type_count", "scores", "merges", "add_bos_token", "add_eos_token", "add_space_prefix",
    "bos_token_id", "eos_token_id", "eot_token_id", "eom_token_id", "unknown_token_id", "padding_token_id", "fim_pad_token_id",
    "fim_rep_token_id", "fim_sep_token_id",
    // Roles that no text gets by itself.
    "seperator_token_id", "separator_token_id", "cls_token_id", "mask_token_id", "fim_pre_token_id", "fim_suf_token_id", "fim_mid_token_id",
    "prefix_token_id", "suffix_token_id", "middle_token_id",
    // Of other kinds of tokenizers.
    "add_sep_token", "remove_extra_whitespaces", "precompiled_charsmap",
  ]
}
