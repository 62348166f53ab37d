import Engines
import Execution

/// One version of a whole engine's weights: every operation of every rank knows its pointers.
///
/// Costs no memory but for what was made for it: weights that it does not replace are the engine file's.
final class CPUWeights: WeightVersion {
  let ranks: [ResolvedSteps]
  init(_ ranks: [ResolvedSteps]) { self.ranks = ranks }
}

/// One rank's weights by name: the engine file's, but for those that were made anew.
@safe final class RankWeights: Sendable {
  private let file: MappedWeights
  private let made: [String: WeightMemory]

  init(_ file: MappedWeights, made: [String: WeightMemory] = [:]) {
    self.file = file
    self.made = made
  }

  /// The weight's first byte; lives as long as this object.
  func pointer(_ name: String) -> UnsafeRawPointer {
    if let memory = made[name] { return unsafe memory.baseAddress }
    return unsafe file.pointer(name)
  }
}
