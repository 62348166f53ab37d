import JSON

/// The special tokens that go around an encoded text: `post_processor` of tokenizer.json.
struct PostProcessor: Sendable {
  var prefix: [Int32] = []
  var suffix: [Int32] = []
}

extension PostProcessor {
  /// A template may name the same list of ids again and again, so what it makes is bounded: published ones add one or two.
  private static let mostTokens = 256

  init(_ json: JSONValue?, reader: JSONMembers) throws(TokenizerError) {
    guard let json, !json.isNull else { return }
    switch json["type"]?.string {
    case "ByteLevel": return  // it changes offsets only
    case "Sequence":
      for (index, step) in try reader.array(json, "processors").enumerated() {
        let inner = try PostProcessor(step, reader: reader.inside("post_processor.processors[\(index)]"))
        prefix = inner.prefix + prefix
        suffix += inner.suffix
        try checkCount(reader)
      }
    case "TemplateProcessing":
      var seenText = false
      for part in try reader.array(json, "single") {
        if part["Sequence"] != nil {
          guard !seenText else { throw reader.unsupported("post_processor template", "with the text twice", "the text once") }
          seenText = true
        } else if let name = part["SpecialToken"]?["id"]?.string {
          guard let ids = json["special_tokens"]?[name]?["ids"]?.array else {
            throw reader.invalid("post_processor.special_tokens.\(name).ids", "an array of token ids")
          }
          for value in ids {
            guard let id = value.int.flatMap(Int32.init(exactly:)), id >= 0 else {
              throw reader.invalid("post_processor.special_tokens.\(name).ids", "an array of token ids")
            }
            if seenText { suffix.append(id) } else { prefix.append(id) }
            try checkCount(reader)
          }
        } else {
          throw reader.invalid("post_processor.single", "an array of {\"Sequence\"} and {\"SpecialToken\"}")
        }
      }
      guard seenText else { throw reader.unsupported("post_processor template", "without the text", "the text once") }
    case let type:
      throw reader.unsupported(
        "post_processor", type ?? "without a type", "ByteLevel, TemplateProcessing, Sequence")
    }
  }

  private func checkCount(_ reader: JSONMembers) throws(TokenizerError) {
    guard prefix.count + suffix.count <= Self.mostTokens else {
      throw reader.unsupported("post_processor", "with more than \(Self.mostTokens) tokens around a text", "at most \(Self.mostTokens)")
    }
  }
}

extension PostProcessor {
  /// With a tokenizer.json, transformers does not ask tokenizer_config.json what goes around a text.
  func notes(_ configuration: JSONValue?, _ special: SpecialTokens, _ ids: [String: Int32]) -> [String] {
    [("add_bos_token", special.beginning, prefix), ("add_eos_token", special.end, suffix)].compactMap { key, token, around in
      guard let wanted = configuration?[key]?.bool, let token, let id = ids[token], around.contains(id) != wanted else { return nil }
      return "tokenizer_config.json says \(key) \(wanted), but tokenizer.json \(wanted ? "does not add" : "adds") '\(token)': "
        + "tokenizer.json counts, as in transformers"
    }
  }
}
