public import JSON

extension TokenizerFiles {
  /// Writes the files that Hugging Face publishes with a model from what a GGUF file says about its tokenizer.
  ///
  /// - Returns: `tokenizer.json`, `tokenizer_config.json` and `generation_config.json`.
  /// - Throws: ``TokenizerError`` for a kind of tokenizer that is not known, ids that do not exist, or a token that is listed twice.
  public static func fromGGUF(metadata written: GGUFTokenizer) throws(TokenizerError) -> [String: JSONValue] {
    let metadata = written.resolved
    let reader = JSONMembers(file: "GGUF metadata")
    for (name, count) in [("types", metadata.tokenTypes.count), ("scores", metadata.scores.count)]
    where count != 0 && count != metadata.tokens.count {
      throw reader.inconsistent("there are \(metadata.tokens.count) tokens but \(count) token \(name)")
    }
    var vocabulary = JSONObject(minimumCapacity: metadata.tokens.count)
    for (id, token) in metadata.tokens.enumerated() where vocabulary.updateValue(.int(id), forKey: token) != nil {
      throw reader.inconsistent("the token '\(token)' is listed twice, the second time with id \(id)")
    }
    var members: JSONObject = ["version": "1.0", "truncation": nil, "padding": nil]
    members["added_tokens"] = .array(addedTokens(metadata))
    switch metadata.model {
    case "gpt2":
      let rule = try WordRule(named: metadata.preTokenizer, reader)
      members["normalizer"] = rule.normalizer
      members["pre_tokenizer"] = rule.preTokenizer
      members["post_processor"] = postProcessor(metadata, addsBeginning: rule.addsBeginning)
      members["decoder"] = ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true]
      members["model"] = model(vocabulary, metadata.merges, takesWholeWords: rule.takesWholeWords)
    case "llama":
      guard metadata.scores.count == metadata.tokens.count || !metadata.merges.isEmpty else {
        throw reader.inconsistent("tokenizer.ggml.model is llama, but there are no scores")
      }
      members.merge(SentencePieceRule.members(metadata)) { $1 }
      members["post_processor"] = postProcessor(metadata, addsBeginning: true)
      var merges = metadata.merges
      if merges.isEmpty { merges = try SentencePieceRule.merges(metadata) }
      let unknown = token(metadata.unknownID, metadata)
      members["model"] = model(vocabulary, merges, takesWholeWords: false, byteFallback: true, unknown: unknown)
    case let other:
      throw reader.unsupported(
        "tokenizer.ggml.model", other, "gpt2 (byte-level byte-pair encoding), llama (SentencePiece)")
    }
    return [
      "tokenizer.json": .object(members),
      "tokenizer_config.json": configuration(metadata),
      "generation_config.json": generationConfiguration(metadata),
    ]
  }

  /// The same files as bytes, ready to be written.
  public static func contents(fromGGUF metadata: GGUFTokenizer) throws(TokenizerError) -> [String: [UInt8]] {
    try fromGGUF(metadata: metadata).mapValues { Array(($0.serialized(indent: 2) + "\n").utf8) }
  }

  /// Control tokens (3) are special, user-defined ones (4) are not; the unknown token (2) is.
  private static func addedTokens(_ metadata: GGUFTokenizer) -> [JSONValue] {
    zip(metadata.tokens, metadata.tokenTypes).enumerated().compactMap { id, token -> JSONValue? in
      let (content, type) = token
      guard [2, GGUFTokenizer.controlType, 4].contains(type) else { return nil }
      return [
        "id": .int(id), "content": .string(content), "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": .bool(type != 4),
      ]
    }
  }

  private static func model(
    _ vocabulary: JSONObject, _ merges: [String], takesWholeWords: Bool, byteFallback: Bool = false, unknown: String? = nil
  ) -> JSONValue {
    [
      "type": "BPE",
      "dropout": nil,
      "unk_token": unknown.map { .string($0) } ?? nil,
      "continuing_subword_prefix": nil,
      "end_of_word_suffix": nil,
      "fuse_unk": .bool(byteFallback),
      "byte_fallback": .bool(byteFallback),
      "ignore_merges": .bool(takesWholeWords),
      "vocab": .object(vocabulary),
      "merges": .strings(merges),
    ]
  }

  /// The token with a role, or nil where the file gives none.
  private static func token(_ id: Int?, _ metadata: GGUFTokenizer) -> String? {
    id.flatMap { metadata.tokens.indices.contains($0) ? metadata.tokens[$0] : nil }
  }

  private static func postProcessor(_ metadata: GGUFTokenizer, addsBeginning: Bool) -> JSONValue {
    let addsBeginning = metadata.addsBeginning ?? addsBeginning
    var around: [(name: String, id: Int, isFirst: Bool)] = []
    if addsBeginning, let id = metadata.beginningID, let name = token(id, metadata) {
      around.append((name, id, true))
    }
    if metadata.addsEnd == true, let id = metadata.endID, let name = token(id, metadata) {
      around.append((name, id, false))
    }
    guard !around.isEmpty else { return nil }
    func part(_ name: String) -> JSONValue { ["SpecialToken": ["id": .string(name), "type_id": 0]] }
    func text(_ name: String, _ type: Int) -> JSONValue { ["Sequence": ["id": .string(name), "type_id": .int(type)]] }
    func template(_ texts: [JSONValue]) -> JSONValue {
      .array(
        texts.flatMap { text in
          around.filter(\.isFirst).map { part($0.name) } + [text] + around.filter { !$0.isFirst }.map { part($0.name) }
        })
    }
    let tokens = around.map { token in
      (
        token.name,
        [
          "id": .string(token.name), "ids": .ints([token.id]), "tokens": .strings([token.name]),
        ] as JSONValue
      )
    }
    return [
      "type": "TemplateProcessing",
      "single": template([text("A", 0)]),
      "pair": template([text("A", 0), text("B", 1)]),
      "special_tokens": .object(JSONObject(tokens, uniquingKeysWith: { $1 })),
    ]
  }

  private static func configuration(_ metadata: GGUFTokenizer) -> JSONValue {
    var members: JSONObject = ["add_prefix_space": false]
    for (name, id) in [
      ("bos_token", metadata.beginningID), ("eos_token", metadata.endID), ("unk_token", metadata.unknownID), ("pad_token", metadata.paddingID),
    ] {
      if let token = token(id, metadata) { members[name] = .string(token) }
    }
    members["clean_up_tokenization_spaces"] = false
    members["tokenizer_class"] = "PreTrainedTokenizerFast"
    // Made here of what llama.cpp reads: no class of transformers takes its place.
    members[TokenizerClass.sourceKey] = "gguf"
    let templates = metadata.chatTemplates
    if templates.count == 1, let template = templates["default"] {
      members["chat_template"] = .string(template)
    } else if !templates.isEmpty {
      members["chat_template"] = .array(
        templates.sorted { $0.key < $1.key }.map { ["name": .string($0.key), "template": .string($0.value)] })
    }
    return .object(members)
  }

  private static func generationConfiguration(_ metadata: GGUFTokenizer) -> JSONValue {
    var members: JSONObject = [:]
    if let id = metadata.beginningID { members["bos_token_id"] = .int(id) }
    let ends = metadata.endIDs
    if let end = ends.first { members["eos_token_id"] = ends.count == 1 ? .int(end) : .ints(ends) }
    if let id = metadata.paddingID { members["pad_token_id"] = .int(id) }
    return .object(members.merging(metadata.sampling) { $1 })
  }
}
