/// Turns ids into text as they come, never showing half a character.
///
/// The pieces joined are what ``Tokenizer/decode(_:skipSpecialTokens:)`` gives for all ids at once. A *character*
/// here is a Unicode scalar; an emoji of several scalars may come in several pieces.
public struct IncrementalDecoder: Sendable {
  private let decoder: TokenDecoder
  private let skipSpecialTokens: Bool
  /// Bytes that are the beginning of a character, at most three.
  private var pending: [UInt8] = []
  private var spacesToStrip: Int

  init(decoder: TokenDecoder, skipSpecialTokens: Bool) {
    self.decoder = decoder
    self.skipSpecialTokens = skipSpecialTokens
    spacesToStrip = decoder.strippedSpaces
  }

  /// The text that this id completes; empty while a character is unfinished, for a special token that is not
  /// wanted, and for an id that no token has.
  public mutating func feed(_ id: Int32) -> String {
    decoder.append(id, skipSpecialTokens: skipSpecialTokens, to: &pending)
    while spacesToStrip > 0, let first = pending.first {
      guard first == 0x20 else { spacesToStrip = 0; break }
      pending.removeFirst()
      spacesToStrip -= 1
    }
    let complete = pending.count - UTF8Text.incompleteSuffix(of: pending)
    let text = String(decoding: pending[..<complete], as: UTF8.self)
    pending.removeFirst(complete)
    return text
  }

  /// Ends the text: an unfinished character becomes U+FFFD.
  public mutating func finish() -> String {
    let text = String(decoding: pending, as: UTF8.self)
    pending.removeAll()
    return text
  }
}
