public import JSON

extension Tokenizer {
  /// - Throws: ``TokenizerError`` for a file that is missing, damaged, or asks for what is not implemented.
  /// - Parameter modelVocabulary: How many tokens the model has; nil where that is not known. An added token that only a
  ///   side file names, and that would get an id beyond, is left out.
  public convenience init(files: TokenizerFiles, modelVocabulary: Int? = nil) throws(TokenizerError) {
    self.init(try TokenizerParts(files: files, limit: modelVocabulary))
  }

  /// - Parameters:
  ///   - tokenizerJSON: The bytes of tokenizer.json.
  ///   - configuration: tokenizer_config.json.
  ///   - generationConfiguration: generation_config.json.
  ///   - chatTemplate: The source of the default chat template; it wins over the configuration's.
  public convenience init(
    tokenizerJSON: [UInt8], configuration: JSONValue? = nil, generationConfiguration: JSONValue? = nil,
    chatTemplate: String? = nil
  ) throws(TokenizerError) {
    var contents = ["tokenizer.json": tokenizerJSON]
    if let configuration { contents["tokenizer_config.json"] = Array(configuration.serialized().utf8) }
    if let generationConfiguration {
      contents["generation_config.json"] = Array(generationConfiguration.serialized().utf8)
    }
    if let chatTemplate { contents["chat_template.jinja"] = Array(chatTemplate.utf8) }
    try self.init(files: TokenizerFiles(contents: contents))
  }
}
