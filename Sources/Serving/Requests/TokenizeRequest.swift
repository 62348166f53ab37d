import JSON

/// The body of `POST /tokenize`: a text, or a conversation that the chat template makes a text of.
struct TokenizeRequest: Sendable {
  enum Input: Sendable {
    case text(String)
    case conversation(Conversation)
  }
  var model: String?
  var input: Input
  var addsSpecialTokens: Bool
  /// Answers with each token's text, too.
  var returnsTokenStrings: Bool
  var unknownFields: [String]

  init(_ body: JSONObject, limits: RequestLimits) throws(APIError) {
    let reader = FieldReader(body)
    model = try reader.string("model")
    if body["messages"] != nil {
      guard reader.value("prompt") == nil else {
        throw .invalid("messages", "The fields 'prompt' and 'messages' exclude each other.")
      }
      input = .conversation(try Conversation(reader, trustsTemplates: limits.trustsTemplates))
    } else if let text = try reader.string("prompt") {
      input = .text(text)
    } else {
      throw .invalid("prompt", "Neither 'prompt' nor 'messages' is given; give one of them.")
    }
    // A template writes its special tokens itself.
    let isText = if case .text = input { true } else { false }
    addsSpecialTokens = try reader.bool("add_special_tokens", default: isText)
    returnsTokenStrings = try reader.bool("return_token_strs")
    unknownFields = reader.unknown
  }
}

/// The body of `POST /detokenize`.
struct DetokenizeRequest: Sendable {
  var model: String?
  var tokens: [Int32]
  var skipsSpecialTokens: Bool
  var unknownFields: [String]

  init(_ body: JSONObject, limits: EngineLimits) throws(APIError) {
    let reader = FieldReader(body)
    model = try reader.string("model")
    guard let ids = try reader.tokens("tokens", vocabularySize: limits.vocabularySize) else {
      throw reader.missing("tokens", "The field 'tokens' is missing; it must be an array of token ids.")
    }
    guard ids.count <= limits.maximumDetokenizedTokens else {
      throw .invalid("tokens", "tokens holds \(ids.count) ids; at most \(limits.maximumDetokenizedTokens) are allowed.")
    }
    tokens = ids
    skipsSpecialTokens = try reader.bool("skip_special_tokens")
    unknownFields = reader.unknown
  }
}
