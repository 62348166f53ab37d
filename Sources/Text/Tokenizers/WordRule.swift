import JSON

/// What the names of `tokenizer.ggml.pre` mean in llama.cpp, in the terms of tokenizer.json.
struct WordRule {
  private(set) var normalizer: JSONValue = nil
  /// A word that is a token by itself needs no merges.
  private(set) var takesWholeWords = false
  /// Whether texts begin with the beginning token unless the file says otherwise.
  private(set) var addsBeginning = false
  private let steps: [JSONValue]

  /// Texts are cut by each expression in turn, and what none matches stays as it is.
  var preTokenizer: JSONValue {
    steps.count == 1 ? steps[0] : ["type": "Sequence", "pretokenizers": .array(steps)]
  }

  /// Names that llama.cpp gives the same rule.
  private static let names: [String: Set<String>] = [
    "gpt-2": [
      "gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat", "a.x-4.0", "mellum", "modern-bert", "exaone4", "mpt", "olmo",
      "jais", "trillion", "granite-docling",
    ],
    "smollm": ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
    "llama-bpe": ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"],
    "smaug-bpe": ["smaug-bpe", "dbrx"],
    "qwen2": ["qwen2", "deepseek-r1-qwen", "megrez", "kormo", "f2llmv2", "stablelm2", "hunyuan", "solar-open", "grok-2"],
    "tekken": ["tekken"], "deepseek-coder": ["deepseek-coder"], "deepseek-v3": ["deepseek-v3", "hunyuan-dense", "joyai-llm"],
    "default": ["default", ""],
  ]

  init(named name: String?, _ reader: JSONMembers) throws(TokenizerError) {
    func byteLevel(_ usesPattern: Bool) -> JSONValue {
      ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": .bool(usesPattern)]
    }
    func words(_ patterns: String...) -> [JSONValue] {
      patterns.map { ["type": "Split", "pattern": ["Regex": .string($0)], "behavior": "Isolated", "invert": false] } + [byteLevel(false)]
    }
    func published(_ name: String) -> String { WordPattern.published.first { $0.name == name }?.pattern ?? "" }
    switch Self.names.first(where: { $0.value.contains(name ?? "") })?.key {
    case "gpt-2": steps = [byteLevel(true)]
    case "smollm": steps = [["type": "Digits", "individual_digits": true], byteLevel(true)]
    case "llama-bpe": (steps, takesWholeWords, addsBeginning) = (words(published("Llama 3")), true, true)
    case "smaug-bpe": steps = words(published("Llama 3"))
    case "qwen2": (steps, normalizer) = (words(published("Qwen2")), ["type": "NFC"])
    case "tekken":
      // As llama.cpp writes it: upper and lower case differ for the letters of ASCII alone.
      let (upper, lower) = (#"(?:(?=\p{L})[^a-z])"#, #"(?:(?=\p{L})[^A-Z])"#)
      let start = #"[^\r\n\p{L}\p{N}]?"#
      (steps, takesWholeWords, addsBeginning) = (
        words("\(start)\(upper)*\(lower)+|\(start)\(upper)+\(lower)*" + #"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#), true, true
      )
    case "deepseek-coder": steps = words(#"[\r\n]"#, #"\s?\p{L}+"#, #"\s?\p{P}+"#, "[一-龥ࠀ-一가-퟿]+", #"\p{N}"#)
    case "deepseek-v3":
      steps = words(
        #"\p{N}{1,3}"#, "[一-龥぀-ゟ゠-ヿ]+",
        #"[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#)
    case "default": steps = words(#"[\p{P}$+<=>^~|]+"#, published("GPT-2"), #"\p{N}+"#, "[0-9][0-9][0-9]")
    default:
      throw reader.unsupported("tokenizer.ggml.pre", name ?? "absent", Self.names.keys.sorted().joined(separator: ", "))
    }
  }

  /// What is to be said of a name.
  static func note(_ name: String?) -> String? {
    guard name ?? "" == "" else { return nil }
    return "metadata: tokenizer.ggml.pre is missing: words are cut by llama.cpp's default rule, which is hardly the model's own. Convert the model to GGUF again"
  }
}
