/// The least that a row of a step is to be answered. An executor may answer more: one whose logits lie in host memory anyway
/// gives all of them.
public enum LogitsWanted: Sendable, Hashable {
  /// The id of the largest logit; of several equal ones the lowest.
  case token
  /// So many of the likeliest tokens, at least one, best first, of equal ones the lowest first, with the natural logarithm of
  /// their probability among all tokens.
  case best(Int)
  /// The logits of the whole vocabulary.
  case all

  /// How much it is: an answer does for what is wanted if it is as much.
  private var rank: Int {
    switch self {
    case .token: 0
    case .best(let count): count
    case .all: .max
    }
  }
  /// Whether an answer of this kind does for one that is wanted: all logits for any, the best n for the best n or fewer.
  public func suffices(for wanted: LogitsWanted) -> Bool { rank >= wanted.rank }
}

/// What an executor answers a row.
public enum RowAnswer {
  /// See ``LogitsWanted/token``. Where a logit was NaN or +∞, `~id` of the first token with such a one.
  case token(Int32)
  /// See ``LogitsWanted/best(_:)``. Where a logit was NaN or +∞, the first token with such a one alone, its probability NaN.
  case best([TokenLogProbability])
  /// All logits of the row.
  case all(Logits)

  /// The first token whose logit was NaN or +∞, where the answer says that there is one.
  public var notFinite: Int32? {
    switch self {
    case .token(let id): id < 0 ? ~id : nil
    case .best(let tokens): tokens.first.flatMap { $0.logProbability.isNaN ? $0.id : nil }
    case .all: nil  // not looked at
    }
  }

  /// What kind of answer it is. One that is ``notFinite`` is of a smaller kind than was wanted: look at that first.
  public var kind: LogitsWanted {
    switch self {
    case .token: .token
    case .best(let tokens): .best(tokens.count)
    case .all: .all
    }
  }
}

/// Logits of one row, `[vocabularySize]`, float32, in host memory; valid during the call that hands them out.
@safe public struct Logits {
  /// `[vocabularySize]`; may be changed in place.
  @unsafe public let buffer: UnsafeMutableBufferPointer<Float>

  /// - Parameter buffer: May be changed in place by who takes it.
  public init(_ buffer: UnsafeMutableBufferPointer<Float>) { unsafe self.buffer = unsafe buffer }
}

/// A token and its natural-log probability.
public struct TokenLogProbability: Sendable, Hashable {
  /// At least 0 and below the vocabulary size.
  public var id: Int32
  /// Natural logarithm of the probability among all tokens; NaN for a token whose logit is NaN or +∞.
  public var logProbability: Float

  /// - Parameter logProbability: Natural logarithm, at most 0, or NaN.
  public init(id: Int32, logProbability: Float) {
    self.id = id
    self.logProbability = logProbability
  }
}
