import Checkpoints

extension PlanLimits {
  /// The longest sequence that is right for a model, at most `asked`; nil: as long as the model was made for.
  static func sequenceLength(_ asked: Int?, for config: CheckpointConfig) -> Int {
    let length = asked ?? config.maximumPositions ?? 2048
    // Attention here looks at the whole sequence: beyond a sliding window results would differ from the model's.
    guard let window = config.json["sliding_window"]?.int, window > 0 else { return length }
    return min(length, window)
  }

  /// What a build for another configuration makes of these limits.
  func again(_ config: CheckpointConfig) -> PlanLimits {
    var again = self
    again.sequenceLength = Self.sequenceLength(sequenceLength, for: config)
    again.inputLength = min(inputLength, again.sequenceLength)
    return again
  }
}
