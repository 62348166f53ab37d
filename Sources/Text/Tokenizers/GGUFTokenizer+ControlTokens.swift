/// Which tokens mark structure as llama.cpp's loader has it: some by their texts, whatever `tokenizer.ggml.token_type` says.
extension GGUFTokenizer {
  /// `tokenizer.ggml.token_type` of a token that stands in no text of people: 3.
  static let controlType = 3

  /// By id, as ``tokenTypes``. Files call the end of a turn a normal token (1) often enough: its text would be cut into letters.
  var countingTypes: [Int] {
    var types = tokenTypes.isEmpty ? [Int](repeating: 1, count: tokens.count) : tokenTypes
    for id in mistyped where types.indices.contains(id) { types[id] = Self.controlType }
    return types
  }

  /// Tokens of another type than their texts say, by id. Those that a user added (4) are found whole as they are.
  private var mistyped: [Int] {
    let known = Self.endings.union(Self.paddings).union(Self.repositories).union(Self.separators).union(Self.fillings)
    return tokens.indices.filter { id in
      known.contains(tokens[id]) && (tokenTypes.indices.contains(id) ? ![2, Self.controlType, 4].contains(tokenTypes[id]) : true)
    }
  }

  /// What is to be said of them: a line, or none.
  var typeNotes: [String] {
    let found = tokenTypes.isEmpty ? [] : mistyped
    guard let first = found.first else { return [] }
    let more = found.count > 1 ? " and of \(found.count - 1) more" : ""
    return ["metadata: tokenizer.ggml.token_type of '\(tokens[first])'\(more) says that it is no control token: it counts as one, as in llama.cpp"]
  }

  /// Before, after and between the parts that models for code fill in.
  private static let fillings: Set<String> = [
    "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>", "<|prefix|>",
    "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>", "<|suffix|>",
    "<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>", "<|middle|>",
  ]
}
