import JSON

/// Settings of tokenizer_config.json that change what transformers does, and that nothing here uses.
enum TokenizerSettings {
  private static let file = "tokenizer_config.json"
  private static let roles = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]
  /// The version of transformers that the rules here are those of.
  private static let version = [5, 24, 0]

  /// A line for each that says something.
  ///
  /// - Parameters:
  ///   - map: special_tokens_map.json.
  ///   - model: The model's configuration.
  ///   - vocabularyCount: Tokens of tokenizer.json's vocabulary.
  static func notes(_ configuration: JSONValue?, map: JSONValue?, model: JSONValue?, vocabularyCount: Int) -> [String] {
    guard let configuration else { return wrongRoles(map, "special_tokens_map.json") }
    var notes: [String] = []
    if let value = configuration["split_special_tokens"], value != false {
      notes.append(
        value == true
          ? "\(file): split_special_tokens is true, and nothing uses it: special tokens written in a text are found here, where transformers cuts them like other text"
          : "\(file): split_special_tokens is \(shown(value)), which transformers refuses, and nothing uses it. Write true or false")
    }
    if let chosen = versioned(configuration["fast_tokenizer_files"]) {
      notes.append(
        "\(file): fast_tokenizer_files makes transformers 5 read \(shown(.string(chosen))) in the place of tokenizer.json, which counts here. Copy that file over tokenizer.json if it is meant")
    }
    let cleaning = "clean_up_tokenization_spaces"
    if configuration[cleaning]?.isTruthy == true, configuration["\(cleaning)_for_bpe_even_though_it_will_corrupt_output"]?.isTruthy == true {
      notes.append("\(file): \(cleaning)_for_bpe_even_though_it_will_corrupt_output is set, and nothing uses it: transformers takes spaces before punctuation out of answers")
    }
    let type = (model?["model_type"] ?? model?["architecture"] ?? model?["pretrained_config"]?["architecture"])?.string
    if configuration["fix_mistral_regex"]?.isTruthy == true, vocabularyCount > 100_000, ["mistral", "MistralForCausalLM"].contains(type) {
      notes.append("\(file): fix_mistral_regex is set, and nothing uses it: transformers may cut text into words in another way. Save the tokenizer once loaded with it")
    }
    if let value = configuration["added_tokens_decoder"], value.object == nil {
      notes.append("\(file): added_tokens_decoder is \(value.kind), which transformers refuses: it lists no tokens here")
    }
    for key in ["extra_special_tokens", "additional_special_tokens"] {
      guard let value = configuration[key], !value.isNull else { continue }
      let elements = value.array ?? value.object.map { Array($0.values) }
      guard let wrong = elements.map({ $0.first { $0.string == nil && $0["content"]?.string == nil } }) ?? value else { continue }
      notes.append("\(file): \(key) holds \(shown(wrong)), which is no token and is left out; transformers refuses it")
    }
    notes += wrongRoles(configuration, file)
    if configuration["added_tokens_decoder"] == nil { notes += wrongRoles(map, "special_tokens_map.json") }
    return notes
  }

  /// Roles whose token is neither a text nor an object that describes one.
  private static func wrongRoles(_ json: JSONValue?, _ file: String) -> [String] {
    roles.compactMap { role in
      guard let value = json?[role], !value.isNull, value.string == nil, value["content"]?.string == nil else { return nil }
      return "\(file): \(role) is \(shown(value)), which is no token and counts as if it were left out; transformers refuses it"
    }
  }

  /// The file that is chosen where several are listed by the version they are for: the last in order of their texts, before the
  /// first that is of a later version. Nil where it is tokenizer.json.
  private static func versioned(_ value: JSONValue?) -> String? {
    var files: [String: String] = [:]
    for name in (value?.array ?? []).compactMap(\.string) {
      guard let start = name.firstRange(of: "tokenizer.")?.upperBound, let end = name[start...].ranges(of: ".json").last else { continue }
      files[String(name[start..<end.lowerBound])] = name
    }
    var chosen: String?
    for (version, name) in files.sorted(by: { Array($0.key.unicodeScalars.map(\.value)).lexicographicallyPrecedes($1.key.unicodeScalars.map(\.value)) }) {
      let numbers = version.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) ?? .max }
      guard !Self.version.lexicographicallyPrecedes(numbers) else { break }
      chosen = name
    }
    return chosen == "tokenizer.json" ? nil : chosen
  }

  private static func shown(_ value: JSONValue) -> String { String(value.serialized().prefix(60)) }
}
