/// The text of one answer while its tokens arrive: whole characters only, and nothing past a stop string.
struct AnswerText {
  private var decoder: any TextDecoder
  private var scanner: StopStringScanner
  /// Tokens for which stop strings do not count yet (`min_tokens`).
  private var exempt: Int

  init(decoder: any TextDecoder, stops: [String], includesStop: Bool, minimumTokens: Int) {
    self.decoder = decoder
    scanner = StopStringScanner(stops, includesStop: includesStop)
    exempt = minimumTokens
  }

  /// The stop string that ended the text.
  var stop: String? { scanner.match }

  /// The text that may be shown now.
  mutating func append(_ id: Int32) -> String {
    let piece = decoder.append(id)
    guard exempt == 0 else {
      exempt -= 1
      return piece
    }
    return scanner.append(piece)
  }

  /// The rest, once the engine is done.
  mutating func finish() -> String {
    let shown = scanner.append(decoder.finish())
    return stop == nil ? shown + scanner.finish() : shown
  }
}
