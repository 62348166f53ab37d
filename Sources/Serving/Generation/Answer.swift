import Inference
import JSON
import Synchronization

/// One answer being made: a sequence of the engine, and what becomes of its tokens.
struct Answer: Sendable {
  /// Its place among the request's answers.
  var index: Int
  var events: AnswerEvents
  var fields: SamplingFields
  /// False gives token ids and no text.
  var makesText: Bool
}

/// Hands a sequence's events to the one who follows them, and keeps nothing: letting go of the events is what ends a
/// sequence early.
final class AnswerEvents: Sendable {
  private let events: Mutex<CompletionEvents?>
  init(_ events: CompletionEvents) { self.events = Mutex(events) }
  /// The events the first time, nil after that.
  func take() -> CompletionEvents? { events.withLock { $0.take() } }
}

/// A part of an answer, ready to be sent.
struct AnswerPiece: Sendable {
  var index: Int
  var text = ""
  /// How likely the prompt's tokens after the first were; in the first piece, where asked for.
  var promptScores: [GeneratedToken]?
  /// The tokens behind the text, and those that gave no text.
  var tokens: [GeneratedToken] = []
  /// The weights that chose the tokens, all of them; nil before the engine has said.
  var weightVersion: String?
  /// Set in the last piece.
  var end: AnswerEnd?
}

struct AnswerEnd: Sendable {
  /// OpenAI's word: `stop` or `length`.
  var reason: String
  /// Upstream's `stop_reason`: the stop string, or the id of a stop token that the request named, else null.
  var stop: JSONValue = nil
  /// Tokens chosen, one that ended the answer included.
  var generatedTokens = 0
  /// Prompt tokens whose keys and values were still in the cache; nil where the engine did not get to say.
  var cachedPromptTokens: Int?
}

extension Answer {
  /// Follows the sequence to its end. Leaving early, by return or by error, ends the sequence.
  func run(engine: any CompletionEngine, timing: inout AnswerTiming, emit: (AnswerPiece) -> Void) async throws {
    var text = AnswerText(
      decoder: engine.makeTextDecoder(skipSpecialTokens: fields.skipsSpecialTokens), stops: fields.stopStrings,
      includesStop: fields.includesStopInOutput, minimumTokens: fields.parameters.minimumTokens)
    var piece = AnswerPiece(index: index)
    var generated = 0
    guard let events = events.take() else { throw CancellationError() }
    for try await event in events {
      switch event {
      case .weightsChanged(let version):
        // A piece is of one version, even where its text is still held back.
        if !piece.tokens.isEmpty { emit(piece) }
        piece = AnswerPiece(index: index, weightVersion: version)
      case .promptScored(let tokens):
        piece.promptScores = tokens
        emit(piece)
        piece = AnswerPiece(index: index, weightVersion: piece.weightVersion)
      case .token(let token):
        generated += 1
        timing.token()
        piece.tokens.append(token)
        guard makesText else {
          emit(piece)
          piece = AnswerPiece(index: index, weightVersion: piece.weightVersion)
          continue
        }
        piece.text += text.append(token.id)
        if let stop = text.stop {
          piece.end = AnswerEnd(reason: "stop", stop: .string(stop), generatedTokens: generated)
          return emit(piece)
        }
        // A token may end within a character, or within what may become a stop string: nothing to show yet.
        guard !piece.text.isEmpty else { continue }
        emit(piece)
        piece = AnswerPiece(index: index, weightVersion: piece.weightVersion)
      case .finished(let end, let usage):
        piece.end = try finished(end, usage, &text, &piece)
        return emit(piece)
      }
    }
    try Task.checkCancellation()
    throw APIError.failed("The engine ended an answer without saying why.")
  }

  private func finished(
    _ reason: FinishReason, _ usage: Usage, _ text: inout AnswerText, _ piece: inout AnswerPiece
  ) throws -> AnswerEnd {
    var answer = AnswerEnd(reason: "length", generatedTokens: usage.generatedTokens, cachedPromptTokens: usage.cachedPromptTokens)
    switch reason {
    case .cancelled: throw APIError.draining
    case .length: break
    case .stop(let id):
      answer.reason = "stop"
      guard let id else { break }
      if fields.parameters.stopTokenIDs.contains(id) { answer.stop = .int(Int(id)) }
      if makesText, fields.includesStopInOutput { piece.text += text.append(id) }
    }
    guard makesText else { return answer }
    piece.text += text.finish()
    if let stop = text.stop {
      answer.reason = "stop"
      answer.stop = .string(stop)
    }
    return answer
  }
}

/// When an answer's tokens arrived.
struct AnswerTiming: Sendable {
  let start = ContinuousClock.now
  private(set) var first: ContinuousClock.Instant?
  private(set) var last: ContinuousClock.Instant?
  private(set) var tokens = 0
  /// Time between this token and the one before it.
  private let interval: (@Sendable (Duration) -> Void)?

  init(interval: (@Sendable (Duration) -> Void)? = nil) { self.interval = interval }

  mutating func token() {
    let now = ContinuousClock.now
    if let last { interval?(now - last) } else { first = now }
    last = now
    tokens += 1
  }
}
