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
  /// The names that the two files give, null for none: an empty one of tokenizer_config.json is a class that does not exist.
  private struct Names {
    let own: String?
    let model: String?

    init(_ configuration: JSONValue?, _ model: JSONValue?) {
      own = configuration?["tokenizer_class"]?.string
      self.model = model?["tokenizer_class"]?.string
    }
    /// By which the class is compared with the one of the model's type.
    var declared: String? { own.flatMap { $0.isEmpty ? nil : $0 } ?? model }
    /// By which it is made.
    var made: String? { own ?? model }
  }
  /// Without the endings that transformers takes away where it looks for a class.
  private static func stem(_ name: String) -> String {
    var name = Substring(name)
    while name.hasSuffix("Fast") { name = name.dropLast(4) }
    return String(name)
  }
  private static func withoutFast(_ name: String) -> String { name.hasSuffix("Fast") ? String(name.dropLast(4)) : name }

  /// What transformers would do otherwise, a line each.
  static func notes(configuration: JSONValue?, model: JSONValue?) -> [String] {
    var notes: [String] = []
    if configuration?["auto_map"]?["AutoTokenizer"] != nil || configuration?["auto_map"]?.array != nil {
      notes.append("tokenizer_config.json: auto_map names a tokenizer in the author's own code, which is not run: tokenizer.json counts. Compare ids with the author's")
    }
    if let value = configuration?["tokenizer_class"], value.string == nil, !value.isNull {
      notes.append("tokenizer_config.json: tokenizer_class is \(value.serialized().prefix(60)), which is no name of a class and counts as if it were left out; transformers refuses it")
    }
    let name = stem(Names(configuration, model).made ?? "")
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
  ///   - text: Of tokenizer.json.
  init?(configuration: JSONValue?, model: JSONValue?, text: [UInt8]) {
    guard configuration?[Self.sourceKey] == nil, configuration?["auto_map"] == nil else { return nil }
    let names = Names(configuration, model)
    let made = names.made.flatMap { Self(rawValue: Self.stem($0)) }
    let architecture = model?["architecture"] ?? model?["pretrained_config"]?["architecture"]
    switch model?["model_type"]?.string ?? architecture?.string {
    // For these types transformers does not believe the class that is named: it has none, or its own.
    case "mistral", "MistralForCausalLM", "granite", "GraniteForCausalLM", "olmo2", "Olmo2ForCausalLM": return nil
    case "qwen2", "Qwen2ForCausalLM":
      guard let declared = names.declared else {
        guard names.own == nil else { return nil }
        self = .qwen2
        break
      }
      guard Self.withoutFast(declared) == Self.qwen2.rawValue else { self = .qwen2; break }
      guard let made else { return nil }
      self = made
    // Its own where none is named.
    case "qwen3", "Qwen3ForCausalLM":
      guard let found = Self.found(names, made, ofType: .qwen2) else { return nil }
      self = found
    case "gemma2", "Gemma2ForCausalLM", "gemma3", "gemma3_text", "Gemma3ForCausalLM", "Gemma3ForConditionalGeneration":
      guard let found = Self.found(names, made, ofType: .gemma) else { return nil }
      self = found
    default:
      guard let made else { return nil }
      self = made
    }
    if self == .llama, names.declared.map(Self.withoutFast) == rawValue, Self.mentionsByteLevel(text) { return nil }
  }

  /// For a type of models that has a class of its own: that where none is named, and otherwise as that class is named, by its very
  /// name or without the endings.
  private static func found(_ names: Names, _ made: Self?, ofType own: Self) -> Self? {
    guard names.made != nil else { return own }
    guard let declared = names.declared else { return nil }
    return withoutFast(declared) == own.rawValue ? made : Self(rawValue: stem(declared))
  }

  /// Whether the text names it anywhere, in quotation marks: as transformers asks, which looks neither for steps nor for types.
  static func mentionsByteLevel(_ text: [UInt8]) -> Bool {
    let wanted = Array("\"ByteLevel\"".utf8)
    var start = text.startIndex
    while let quote = text[start...].firstIndex(of: wanted[0]) {
      if text[quote...].starts(with: wanted) { return true }
      start = quote + 1
    }
    return false
  }
  private static func isByteLevel(_ step: JSONValue?) -> Bool {
    switch step {
    case .object(let members)?: members["type"]?.string == "ByteLevel" || members.values.contains { isByteLevel($0) }
    case .array(let steps)?: steps.contains { isByteLevel($0) }
    default: false
    }
  }
  /// Where a LlamaTokenizer is not made although tokenizer.json cuts no text into bytes.
  static func strayByteLevel(configuration: JSONValue?, model: JSONValue?, tokenizer: JSONValue, text: [UInt8]) -> String? {
    guard Self(configuration: configuration, model: model, text: text) == nil, Self(configuration: configuration, model: model, text: []) == .llama,
      !["pre_tokenizer", "decoder"].contains(where: { isByteLevel(tokenizer[$0]) })
    else { return nil }
    return "tokenizer.json names \"ByteLevel\" where it cuts no text, so transformers 5 does not make a LlamaTokenizer of it: it counts as it stands. "
      + "Take that word out, or name PreTrainedTokenizerFast as tokenizer_class"
  }

  /// tokenizer.json with what the class makes in its own way.
  ///
  /// - Parameter unknown: The token with that role.
  func applied(to tokenizer: JSONValue, configuration: JSONValue?, unknown: String?) -> JSONValue {
    guard case .object(var members) = tokenizer, case .object(var model)? = members["model"] else { return tokenizer }
    let addsPrefix = addsPrefix(configuration)
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
      members["pre_tokenizer"] = ["type": "ByteLevel", "add_prefix_space": .bool(addsPrefix), "use_regex": true]
      members["decoder"] = ["type": "ByteLevel"]
    case .qwen2:
      members["pre_tokenizer"] = [
        "type": "Sequence",
        "pretokenizers": [
          ["type": "Split", "pattern": ["Regex": .string(WordPattern.qwen2)], "behavior": "Isolated", "invert": false],
          ["type": "ByteLevel", "add_prefix_space": .bool(addsPrefix), "use_regex": false],
        ],
      ]
      members["decoder"] = ["type": "ByteLevel"]
    case .llama:
      let scheme = !addsPrefix ? "never" : configuration?["legacy"]?.isTruthy == true ? "always" : "first"
      members["pre_tokenizer"] = ["type": "Metaspace", "replacement": "▁", "prepend_scheme": .string(scheme), "split": false]
      var steps: [JSONValue] = [spaces, ["type": "ByteFallback"], ["type": "Fuse"]]
      if addsPrefix { steps.append(["type": "Strip", "content": " ", "start": 1, "stop": 0]) }
      members["decoder"] = ["type": "Sequence", "decoders": .array(steps)]
    case .gemma:
      members["normalizer"] = ["type": "Replace", "pattern": ["String": " "], "content": "▁"]
      // After the normalizer no space is left to split at: a text between added tokens is one word.
      members["pre_tokenizer"] = ["type": "Split", "pattern": ["String": " "], "behavior": "MergedWithPrevious", "invert": false]
      members["decoder"] = ["type": "Sequence", "decoders": [spaces, ["type": "ByteFallback"], ["type": "Fuse"]]]
    }
    return .object(members)
  }

  /// LlamaTokenizer asks as Python's `if` does; the others hand the value on to where only true and false are taken.
  private func addsPrefix(_ configuration: JSONValue?) -> Bool {
    guard let value = configuration?["add_prefix_space"], !value.isNull else { return self == .llama }
    return self == .llama ? value.isTruthy : value.bool ?? false
  }
  /// Settings that the class does not take, a line each.
  func notes(configuration: JSONValue?) -> [String] {
    guard self != .llama, let value = configuration?["add_prefix_space"], value.bool == nil, !(value.isNull && self == .qwen2) else { return [] }
    return ["tokenizer_config.json: add_prefix_space is \(value.serialized().prefix(60)), which a \(rawValue) of transformers refuses: it counts as false. Write true or false"]
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
    guard Self.stem(configuration?["tokenizer_class"]?.string ?? "") == rawValue else {
      return "tokenizer.json cuts text otherwise than \(rawValue), which transformers 5 takes for every model of this type, and which counts"
    }
    return "tokenizer.json cuts text otherwise than \(rawValue), the tokenizer_class, which counts, as in transformers 5. "
      + (self == .qwen2 ? "" : "With PreTrainedTokenizerFast as tokenizer_class in tokenizer_config.json, tokenizer.json counts")
  }
}

extension JSONValue {
  /// As Python's `if` takes it.
  var isTruthy: Bool {
    switch self {
    case .null: false
    case .bool(let value): value
    case .number(let number): number.double != 0
    case .string(let text): !text.isEmpty
    case .array(let elements): !elements.isEmpty
    case .object(let members): !members.isEmpty
    }
  }
}
