import Checkpoints
import Families

extension CheckpointConfig {
  /// How many positions the model was made for; 2,048 where nothing says.
  var positions: Int { maximumPositions ?? 2048 }
  /// How many tokens the attention of all of its layers looks back, where that is bounded and no operation bounds it.
  var window: Int? {
    guard ModelFamily(checkpointArchitecture: architecture)?.hasWindowedLayers != true else { return nil }
    return json["sliding_window"]?.int.flatMap { $0 > 0 ? $0 : nil }
  }
}

extension PlanLimits {
  /// The longest sequence that is right for a model, at most `asked`; nil: as long as the model was made for.
  ///
  /// Attention here looks at the whole sequence: beyond a sliding window results would differ from the model's.
  static func sequenceLength(_ asked: Int?, for config: CheckpointConfig) -> Int {
    min(asked ?? config.positions, config.window ?? .max)
  }

  /// What a build for another configuration makes of these limits.
  func again(_ config: CheckpointConfig) -> PlanLimits {
    var again = self
    again.sequenceLength = Self.sequenceLength(sequenceLength, for: config)
    again.inputLength = min(inputLength, again.sequenceLength)
    return again
  }
}
