import JSON

/// A tokenizer class of transformers 5 that has a constructor of its own: it takes vocabulary, merges, added tokens and what
/// goes around a text from tokenizer.json, and makes everything else itself.
///
/// Source: `convert_to_native_format` and the classes' constructors in transformers 5.24.
enum TokenizerClass: String {
  case gpt2 = "GPT2Tokenizer"
  case qwen2 = "Qwen2Tokenizer"
  case llama = "LlamaTokenizer"
  case gemma = "GemmaTokenizer"

  /// Member of tokenizer_config.json that says what the tokenizer was made of, where that was no Hugging Face directory.
  static let sourceKey = "tokenizer_source"

  /// Classes with constructors of their own that are not made here.
  private static let others: Set<String> = [
    "CodeLlamaTokenizer", "GPTNeoXTokenizer", "CohereTokenizer", "Qwen3_5Tokenizer", "RobertaTokenizer", "WhisperTokenizer",
    "BartTokenizer", "BertTokenizer", "T5Tokenizer", "XLMRobertaTokenizer", "MBartTokenizer", "NllbTokenizer", "DebertaTokenizer", "DebertaV2Tokenizer",
  ]
  private static func name(_ configuration: JSONValue?, _ model: JSONValue?) -> String {
    let name = configuration?["tokenizer_class"]?.string ?? model?["tokenizer_class"]?.string ?? ""
    return name.hasSuffix("Fast") ? String(name.dropLast(4)) : name
  }
  /// What transformers would do otherwise, a line each.
  static func notes(configuration: JSONValue?, model: JSONValue?) -> [String] {
    var notes: [String] = []
    if configuration?["auto_map"]?["AutoTokenizer"] != nil || configuration?["auto_map"]?.array != nil {
      notes.append("tokenizer_config.json: auto_map names a tokenizer in the author's own code, which is not run: tokenizer.json counts. Compare ids with the author's")
    }
    let name = name(configuration, model)
    if others.contains(name) {
      notes.append("tokenizer_config.json: transformers 5 makes a \(name) in its own way; here tokenizer.json counts as it stands. Compare ids if the model was trained with transformers 5")
    }
    return notes
  }

  /// Nil where transformers takes tokenizer.json as it stands.
  ///
  /// - Parameters:
  ///   - configuration: tokenizer_config.json.
  ///   - model: The model's configuration: of Hugging Face, of a checkpoint or of an engine.
  ///   - tokenizer: tokenizer.json.
  init?(configuration: JSONValue?, model: JSONValue?, tokenizer: JSONValue) {
    guard configuration?[Self.sourceKey] == nil, configuration?["auto_map"] == nil else { return nil }
    let name = Self.name(configuration, model)
    let architecture = model?["architecture"] ?? model?["pretrained_config"]?["architecture"]
    switch model?["model_type"]?.string ?? architecture?.string {
    // For these types transformers does not believe the class that is named: it has none, or its own.
    case "mistral", "MistralForCausalLM": return nil
    case "qwen2", "Qwen2ForCausalLM": self = .qwen2
    // Its own where none is named.
    case "qwen3" where name.isEmpty, "Qwen3ForCausalLM" where name.isEmpty: self = .qwen2
    case "gemma3" where name.isEmpty, "gemma3_text" where name.isEmpty, "Gemma3ForCausalLM" where name.isEmpty: self = .gemma
    default: self.init(rawValue: name)
    }
    if self == .llama, ["normalizer", "pre_tokenizer", "decoder", "post_processor"].contains(where: { Self.isByteLevel(tokenizer[$0]) }) { return nil }
  }

  private static func isByteLevel(_ step: JSONValue?) -> Bool {
    switch step {
    case .object(let members)?: members["type"]?.string == "ByteLevel" || members.values.contains { isByteLevel($0) }
    case .array(let steps)?: steps.contains { isByteLevel($0) }
    default: false
    }
  }

  /// tokenizer.json with what the class makes in its own way.
  ///
  /// - Parameter unknown: The token with that role.
  func applied(to tokenizer: JSONValue, configuration: JSONValue?, unknown: String?) -> JSONValue {
    guard case .object(var members) = tokenizer, case .object(var model)? = members["model"] else { return tokenizer }
    let addsPrefix = configuration?["add_prefix_space"]?.bool
    for name in ["unk_token", "ignore_merges", "dropout", "continuing_subword_prefix", "end_of_word_suffix"] { model[name] = nil }
    let isSentencePiece = self == .llama || self == .gemma
    model["byte_fallback"] = .bool(isSentencePiece)
    model["fuse_unk"] = .bool(isSentencePiece)
    if self == .gemma, let unknown { model["unk_token"] = .string(unknown) }
    members["model"] = .object(model)
    members["normalizer"] = self == .qwen2 ? ["type": "NFC"] : nil
    let spaces: JSONValue = ["type": "Replace", "pattern": ["String": "▁"], "content": " "]
    switch self {
    case .gpt2:
      members["pre_tokenizer"] = ["type": "ByteLevel", "add_prefix_space": .bool(addsPrefix ?? false), "use_regex": true]
      members["decoder"] = ["type": "ByteLevel"]
    case .qwen2:
      members["pre_tokenizer"] = [
        "type": "Sequence",
        "pretokenizers": [
          ["type": "Split", "pattern": ["Regex": .string(WordPattern.qwen2)], "behavior": "Isolated", "invert": false],
          ["type": "ByteLevel", "add_prefix_space": .bool(addsPrefix ?? false), "use_regex": false],
        ],
      ]
      members["decoder"] = ["type": "ByteLevel"]
    case .llama:
      let scheme = addsPrefix == false ? "never" : configuration?["legacy"]?.bool == true ? "always" : "first"
      members["pre_tokenizer"] = ["type": "Metaspace", "replacement": "▁", "prepend_scheme": .string(scheme), "split": false]
      var steps: [JSONValue] = [spaces, ["type": "ByteFallback"], ["type": "Fuse"]]
      if addsPrefix != false { steps.append(["type": "Strip", "content": " ", "start": 1, "stop": 0]) }
      members["decoder"] = ["type": "Sequence", "decoders": .array(steps)]
    case .gemma:
      members["normalizer"] = ["type": "Replace", "pattern": ["String": " "], "content": "▁"]
      // After the normalizer no space is left to split at: a text between added tokens is one word.
      members["pre_tokenizer"] = ["type": "Split", "pattern": ["String": " "], "behavior": "MergedWithPrevious", "invert": false]
      members["decoder"] = ["type": "Sequence", "decoders": [spaces, ["type": "ByteFallback"], ["type": "Fuse"]]]
    }
    return .object(members)
  }

  /// The roles where the files name none.
  var roles: [String: String] {
    switch self {
    case .gpt2: ["bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"]
    case .qwen2: ["eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"]
    case .llama: ["bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"]
    case .gemma: ["bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"]
    }
  }

  /// What is said where tokenizer.json by itself would give other ids.
  func remark(configuration: JSONValue?) -> String {
    let named = Self.name(configuration, nil)
    guard named == rawValue else {
      return "tokenizer.json cuts text otherwise than \(rawValue), which transformers 5 takes for every model of this type, and which counts"
    }
    return "tokenizer.json cuts text otherwise than \(rawValue), the tokenizer_class, which counts, as in transformers 5. "
      + (self == .qwen2 ? "" : "With PreTrainedTokenizerFast as tokenizer_class in tokenizer_config.json, tokenizer.json counts")
  }
}
