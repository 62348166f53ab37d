import Inference

/// The text of one answer while its tokens arrive: whole characters only, and nothing past a stop string.
struct AnswerText {
  private var decoder: any TextDecoder
  private var matcher: StopStringMatcher
  /// Tokens for which stop strings do not count yet (`min_tokens`).
  private var exempt: Int
  /// The stop string that ended the text.
  private(set) var stop: String?

  init(decoder: any TextDecoder, stops: [String], includesStop: Bool, minimumTokens: Int) {
    self.decoder = decoder
    matcher = StopStringMatcher(stopStrings: stops, includesStop: includesStop)
    exempt = minimumTokens
  }

  /// The text that may be shown now.
  mutating func append(_ id: Int32) -> String {
    let piece = decoder.append(id)
    guard exempt == 0 else {
      exempt -= 1
      return piece
    }
    return match(piece)
  }

  /// The rest, once the engine is done.
  mutating func finish() -> String {
    let shown = match(decoder.finish())
    return stop == nil ? shown + matcher.finish() : shown
  }

  private mutating func match(_ piece: String) -> String {
    let step = matcher.feed(piece)
    stop = stop ?? step.stop
    return step.text
  }
}
