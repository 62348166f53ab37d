public import JSON

/// A tokenizer as a GGUF file's `tokenizer.ggml.*` keys describe it.
public struct GGUFTokenizer: Sendable {
  /// `tokenizer.ggml.model`: `gpt2` is byte-level byte-pair encoding, `llama` SentencePiece's.
  public var model: String
  /// `tokenizer.ggml.pre`: which rule cuts text into words.
  public var preTokenizer: String?
  /// `tokenizer.ggml.tokens`, by id.
  public var tokens: [String]
  /// `tokenizer.ggml.token_type`, by id: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
  public var tokenTypes: [Int]
  /// `tokenizer.ggml.merges`, best first, two tokens with a space between them.
  public var merges: [String]
  /// `tokenizer.ggml.scores`, by id: of a SentencePiece vocabulary, whose pieces with a higher score join first.
  public var scores: [Float]
  /// `tokenizer.ggml.bos_token_id` and kin.
  public var beginningID: Int?
  /// `tokenizer.ggml.eos_token_id`.
  public var endID: Int?
  /// `tokenizer.ggml.eot_token_id`: ends a turn, where that is another token than the one that ends a text.
  public var endOfTurnID: Int?
  /// `tokenizer.ggml.eom_token_id`: ends a message that something else goes on from, such as a tool's answer.
  public var endOfMessageID: Int?
  /// `tokenizer.ggml.unknown_token_id`.
  public var unknownID: Int?
  /// `tokenizer.ggml.padding_token_id`.
  public var paddingID: Int?
  /// `tokenizer.ggml.add_bos_token`, `add_eos_token`, `add_space_prefix`.
  public var addsBeginning: Bool?
  /// `tokenizer.ggml.add_eos_token`; nil counts as false.
  public var addsEnd: Bool?
  /// `tokenizer.ggml.add_space_prefix`; nil counts as true.
  public var addsSpacePrefix: Bool?
  /// `tokenizer.chat_template`.
  public var chatTemplate: String?
  /// `tokenizer.chat_template.NAME`: more templates, by name.
  public var namedChatTemplates: [String: String]
  /// `tokenizer.ggml.fim_pad_token_id`, `fim_rep_token_id`, `fim_sep_token_id`: padding, repository and file separators of models that
  /// fill in code.
  public var fillPaddingID: Int?
  /// `tokenizer.ggml.fim_rep_token_id`.
  public var fillRepositoryID: Int?
  /// `tokenizer.ggml.fim_sep_token_id`.
  public var fillSeparatorID: Int?
  /// `general.sampling.*`: how tokens are chosen, under the names of generation_config.json.
  public var sampling: JSONObject

  /// Checks nothing. What a file does not say stays nil or empty.
  public init(
    model: String, preTokenizer: String? = nil, tokens: [String], tokenTypes: [Int] = [], merges: [String] = [],
    beginningID: Int? = nil, endID: Int? = nil, endOfTurnID: Int? = nil, unknownID: Int? = nil, paddingID: Int? = nil,
    addsBeginning: Bool? = nil, addsEnd: Bool? = nil, addsSpacePrefix: Bool? = nil, chatTemplate: String? = nil, scores: [Float] = [],
    endOfMessageID: Int? = nil, namedChatTemplates: [String: String] = [:], fillPaddingID: Int? = nil, fillRepositoryID: Int? = nil,
    fillSeparatorID: Int? = nil, sampling: JSONObject? = nil
  ) {
    self.model = model
    self.preTokenizer = preTokenizer
    self.tokens = tokens
    self.tokenTypes = tokenTypes
    self.merges = merges
    self.beginningID = beginningID
    self.endID = endID
    self.endOfTurnID = endOfTurnID
    self.unknownID = unknownID
    self.paddingID = paddingID
    self.addsBeginning = addsBeginning
    self.addsEnd = addsEnd
    self.addsSpacePrefix = addsSpacePrefix
    self.chatTemplate = chatTemplate
    self.scores = scores
    self.endOfMessageID = endOfMessageID
    self.namedChatTemplates = namedChatTemplates
    self.fillPaddingID = fillPaddingID
    self.fillRepositoryID = fillRepositoryID
    self.fillSeparatorID = fillSeparatorID
    self.sampling = sampling ?? [:]
  }
}
