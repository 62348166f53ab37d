public import Tokenizers

/// The key-value pairs in front of a GGUF file's tensors, with typed look-ups that say what is wrong.
public struct GGUFMetadata: Sendable {
  /// The file, for messages.
  public let path: String
  /// All pairs, by key.
  public let values: [String: GGUFValue]

  /// nil where there is no such key.
  public subscript(key: String) -> GGUFValue? { values[key] }

  /// `general.architecture`, which also prefixes the model's own keys.
  public func architecture() throws(GGUFError) -> String { try require("general.architecture", "a string", \.string) }

  func require<T>(_ key: String, _ kind: String, _ read: (GGUFValue) -> T?) throws(GGUFError) -> T {
    guard let value = values[key] else { throw GGUFError(path: path, offset: 0, problem: .metadata(key: key, reason: "is missing")) }
    return try typed(key, value, kind, read)
  }
  /// nil only where the key is absent; a value of another kind is an error.
  func optional<T>(_ key: String, _ kind: String, _ read: (GGUFValue) -> T?) throws(GGUFError) -> T? {
    guard let value = values[key] else { return nil }
    return try typed(key, value, kind, read)
  }
  private func typed<T>(_ key: String, _ value: GGUFValue, _ kind: String, _ read: (GGUFValue) -> T?) throws(GGUFError) -> T {
    guard let result = read(value) else {
      throw GGUFError(path: path, offset: 0, problem: .metadata(key: key, reason: "is \(value.kind), expected \(kind)"))
    }
    return result
  }
}

extension GGUFMetadata {
  /// - Throws: ``GGUFError`` where a key is missing or of the wrong kind.
  public func tokenizer() throws(GGUFError) -> GGUFTokenizer {
    let tokens = try require("tokenizer.ggml.tokens", "an array of strings", \.strings)
    let types = try optional("tokenizer.ggml.token_type", "an array of integers", \.integers) ?? []
    guard types.isEmpty || types.count == tokens.count else {
      throw GGUFError(
        path: path, offset: 0,
        problem: .metadata(
          key: "tokenizer.ggml.token_type", reason: "has \(types.count) elements for \(tokens.count) tokens"))
    }
    func id(_ name: String) throws(GGUFError) -> Int? {
      let key = "tokenizer.ggml.\(name)_token_id"
      return try optional(key, "an integer", \.int)
    }
    let template = "tokenizer.chat_template"
    var named: [String: String] = [:]
    for key in values.keys where key.hasPrefix(template + ".") {
      named[String(key.dropFirst(template.count + 1))] = try require(key, "a string", \.string)
    }
    return GGUFTokenizer(
      model: try require("tokenizer.ggml.model", "a string", \.string),
      preTokenizer: try optional("tokenizer.ggml.pre", "a string", \.string),
      tokens: tokens, tokenTypes: types,
      merges: try merges(),
      beginningID: try id("bos"), endID: try id("eos"), endOfTurnID: try id("eot"),
      unknownID: try id("unknown"), paddingID: try id("padding"),
      addsBeginning: try optional("tokenizer.ggml.add_bos_token", "a boolean", \.bool),
      addsEnd: try optional("tokenizer.ggml.add_eos_token", "a boolean", \.bool),
      addsSpacePrefix: try optional("tokenizer.ggml.add_space_prefix", "a boolean", \.bool),
      chatTemplate: try optional(template, "a string", \.string),
      scores: try optional("tokenizer.ggml.scores", "an array of numbers", \.numbers) ?? [],
      endOfMessageID: try id("eom"), namedChatTemplates: named, fillPaddingID: try id("fim_pad"), fillRepositoryID: try id("fim_rep"),
      fillSeparatorID: try id("fim_sep"), sampling: sampling.members)
  }

  /// Which a vocabulary of llama.cpp's kind gpt2 must have, an empty list too: without them every text is cut into bytes.
  private func merges() throws(GGUFError) -> [String] {
    let (key, kind) = ("tokenizer.ggml.merges", "an array of strings")
    if values["tokenizer.ggml.model"]?.string == "gpt2", values[key] == nil {
      throw GGUFError(path: path, offset: 0, problem: .metadata(key: key, reason: "is missing, and texts cannot be cut into tokens without. Convert the model to GGUF again"))
    }
    // The type of an empty array may be any.
    if let integers = values[key]?.integers, integers.isEmpty { return [] }
    return try optional(key, kind, \.strings) ?? []
  }

  /// Whether there is a tokenizer, of whichever kind.
  var hasTokenizer: Bool {
    let model = values["tokenizer.ggml.model"]?.string
    return model != "no_vocab" && model != "none" && (model != nil || values["tokenizer.ggml.tokens"] != nil)
  }
}
