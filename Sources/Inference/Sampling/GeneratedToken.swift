public import Execution

/// A chosen token.
public struct GeneratedToken: Sendable, Hashable {
  /// At least 0 and below the vocabulary size.
  public var id: Int32
  /// Its natural-log probability under the model, before penalties, bias, temperature and filters; `nil` if not asked.
  public var logProbability: Float?
  /// The most likely tokens under the model, best first; `nil` if not asked.
  public var top: [TokenLogProbability]?
  /// Number of the engine step that chose it, counting from 1. Who changes weights between steps can tell by it which
  /// version made the choice.
  public var step: UInt64

  /// - Parameter logProbability: Natural logarithm; `nil` where it was not asked for.
  public init(id: Int32, logProbability: Float? = nil, top: [TokenLogProbability]? = nil, step: UInt64 = 0) {
    self.id = id
    self.logProbability = logProbability
    self.top = top
    self.step = step
  }
}
