import Tensors
import WeightSources

/// A weight of an engine that is to come to its bytes.
struct WeightJob: Sendable {
  /// Where they come from.
  enum Origin: Sendable {
    /// The weight's recipe, run on a source.
    case recipe(RecipeProgram, any WeightSource)
    /// A file that has them. Where their digest is known they are not read for it: that keeps a damaged file's damage visible to
    /// every later check, which a digest of whatever the file holds now would not.
    case file(EngineFile, knownDigest: String? = nil)
  }
  /// Which of the rank files in hand it belongs to, counted from 0.
  let place: Int
  /// The plan's rank.
  let rank: Int
  /// Of the plan.
  let name: String
  /// As it is stored.
  let stored: TensorDescription
  let origin: Origin

  /// - Precondition: The plan was checked, so its recipes can be run.
  static func make(_ name: String, of plan: Plan, place: Int, from source: any WeightSource) -> WeightJob {
    guard let weight = plan.weights[name], let program = RecipeProgram(weight) else { preconditionFailure("\(name): the plan was checked") }
    return WeightJob(place: place, rank: plan.rank, name: name, stored: weight.stored, origin: .recipe(program, source))
  }
}
