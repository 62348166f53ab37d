extension GGUFTokenizer {
  /// Tokens that end a generated text as llama.cpp's loader finds them: those with a role (eos, eot, eom), and those whose
  /// text is one by which models end a turn, or that separate files in code models. The end of a text comes first, then by id.
  var endIDs: [Int] {
    var texts: [String: Int] = [:]
    let code = [(fillPaddingID, Self.paddings), (fillRepositoryID, Self.repositories), (fillSeparatorID, Self.separators)]
    // A token that a key names takes the place of those known by their texts.
    let known = code.reduce(into: Self.endings) { if $1.0 == nil { $0.formUnion($1.1) } }
    for (id, token) in tokens.enumerated() where known.contains(token) { texts[token] = texts[token] ?? id }
    // Harmony's and Solar's `<|end|>` ends a part of a message, and Gemma 4's `</s>` is an ordinary token.
    let calls = texts["<|call|>"] != nil || texts["<|calls|>"] != nil
    if calls, texts["<|return|>"] != nil || texts["<|flush|>"] != nil { texts["<|end|>"] = nil }
    if texts["<|tool_response>"] != nil { texts["</s>"] = nil }
    // In Gemma 3 it is HTML's, where llama.cpp ends all the same.
    if let id = texts["</s>"], tokenTypes.indices.contains(id), tokenTypes[id] == 4 { texts["</s>"] = nil }
    var found: [Int] = []
    for id in [endID, endOfTurnID, endOfMessageID].compactMap({ $0 }) + (code.compactMap(\.0) + texts.values).sorted()
    where tokens.indices.contains(id) && !found.contains(id) { found.append(id) }
    return found
  }

  static let endings: Set<String> = [
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>", "<|endoftext|>",
    "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>",
    "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
  ]
  /// Padding, repository and file separators of models that fill in code.
  static let paddings: Set<String> = ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"]
  static let repositories: Set<String> = ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"]
  static let separators: Set<String> = ["<|file_sep|>"]
}
