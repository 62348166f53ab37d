/// Text to token ids and back, as a model's `tokenizer.json` says.
///
/// Byte-pair encoding, either over bytes (GPT-2, Llama 3, Qwen2, SmolLM) or over characters with bytes to fall back
/// on (Llama 2, Mistral). Everything a file may ask for that is not implemented is refused when the tokenizer is
/// made, so encoding and decoding cannot fail.
public final class Tokenizer: Sendable {
  let encoder: BytePairEncoder
  let decoder: TokenDecoder
  let normalizer: Normalizer
  let preTokenizer: PreTokenizer
  let postProcessor: PostProcessor
  /// Added tokens that are found in the text as it is, and those found after normalization.
  let addedToText: AddedTokenFinder
  let addedToNormalized: AddedTokenFinder
  let addedIDs: [[UInt8]: Int32]

  /// Tokens with a role, by their text.
  public let specialTokens: SpecialTokens
  /// Ids that end a generated text: `eos_token` and all of generation_config.json's `eos_token_id`.
  public let endOfSequenceIDs: Set<Int32>
  let chatTemplates: [String: Result<ChatTemplate, TokenizerError>]

  /// One more than the highest id.
  public let vocabularySize: Int

  init(_ parts: consuming TokenizerParts) {
    encoder = parts.encoder
    decoder = parts.decoder
    normalizer = parts.normalizer
    preTokenizer = parts.preTokenizer
    postProcessor = parts.postProcessor
    addedToText = parts.addedToText
    addedToNormalized = parts.addedToNormalized
    addedIDs = parts.addedIDs
    specialTokens = parts.specialTokens
    endOfSequenceIDs = parts.endOfSequenceIDs
    chatTemplates = parts.chatTemplates
    vocabularySize = parts.vocabularySize
  }

  /// The ids of `text`. Special tokens written in the text are recognised.
  ///
  /// - Parameter addSpecialTokens: Puts the beginning-of-text token and the like around the text, if the model
  ///   wants any. Pass false for text that a chat template made: the template writes them itself.
  /// - Complexity: O(n log n) for the longest word, otherwise linear.
  public func encode(_ text: String, addSpecialTokens: Bool = true) -> [Int32] {
    var scratch = BytePairEncoder.Scratch()
    return encode(text, addSpecialTokens: addSpecialTokens, &scratch)
  }

  /// The same for untrusted text.
  ///
  /// - Throws: soon after the budget is spent.
  public func encode(
    _ text: String, addSpecialTokens: Bool = true, budget: WorkBudget
  ) throws(WorkBudget.Exceeded) -> [Int32] {
    var scratch = BytePairEncoder.Scratch(budget: budget)
    let ids = encode(text, addSpecialTokens: addSpecialTokens, &scratch)
    if let exceeded = scratch.exceeded { throw exceeded }
    return ids
  }

  private func encode(_ text: String, addSpecialTokens: Bool, _ scratch: inout BytePairEncoder.Scratch) -> [Int32] {
    var text = text
    let bytes = text.withUTF8 { unsafe Array($0) }
    var ids: [Int32] = addSpecialTokens ? postProcessor.prefix : []
    ids.reserveCapacity(ids.count + bytes.count / 3 + 1)
    for piece in addedToText.pieces(of: bytes, 0..<bytes.count) where scratch.exceeded == nil {
      switch piece {
      case .token(let id): ids.append(id)
      case .text(let range):
        let startsText = range.lowerBound == 0
        if normalizer.steps.isEmpty {
          encode(bytes, range, startsText: startsText, into: &ids, &scratch)
        } else {
          let changed = normalizer.apply(Array(bytes[range]))
          encode(changed, 0..<changed.count, startsText: startsText, into: &ids, &scratch)
        }
      }
    }
    if addSpecialTokens { ids += postProcessor.suffix }
    return ids
  }

  private func encode(
    _ text: [UInt8], _ range: Range<Int>, startsText: Bool, into ids: inout [Int32],
    _ scratch: inout BytePairEncoder.Scratch
  ) {
    for piece in addedToNormalized.pieces(of: text, range) {
      switch piece {
      case .token(let id): ids.append(id)
      case .text(let range):
        let isFirst = startsText && range.lowerBound == 0
        preTokenizer.forEachWord(of: text, in: range, startsText: isFirst) { text, word in
          encoder.encode(text, word, into: &ids, &scratch)
        }
      }
    }
  }

  /// The text of `ids`. Bytes that form no character become U+FFFD; an id that no token has adds nothing.
  public func decode(_ ids: some Sequence<Int32>, skipSpecialTokens: Bool = true) -> String {
    var bytes: [UInt8] = []
    for id in ids { decoder.append(id, skipSpecialTokens: skipSpecialTokens, to: &bytes) }
    let spaces = bytes.prefix(decoder.strippedSpaces).prefix { $0 == 0x20 }.count
    return String(decoding: bytes[spaces...], as: UTF8.self)
  }

  /// A decoder for ids that come one by one.
  public func makeIncrementalDecoder(skipSpecialTokens: Bool = true) -> IncrementalDecoder {
    IncrementalDecoder(decoder: decoder, skipSpecialTokens: skipSpecialTokens)
  }

  /// The id of a token by its string as tokenizer.json spells it (`Ġthe`, `<|im_end|>`).
  public func id(ofToken token: String) -> Int32? { addedIDs[Array(token.utf8)] ?? encoder.vocabulary.id(of: token) }

  /// The token's bytes; empty for an id that no token has.
  public func bytes(ofID id: Int32) -> [UInt8] {
    var bytes: [UInt8] = []
    decoder.append(id, skipSpecialTokens: false, to: &bytes)
    return bytes
  }
}
