import Tensors
import WeightSources

extension RefitProblem {
  /// What is wrong with a model's tensors, under upstream's headings; nil where that is not what the error is about.
  init?(_ problem: WeightSourceError.Problem, of path: String) {
    let heading: String
    switch problem {
    case .missing, .missingHead: heading = "Missing refittable weights from checkpoint"
    case .misnamed: heading = "Missing refittable weights from checkpoint (they have other names)"
    case .unexpected: heading = "Weights that no model of this family has"
    case .shape: heading = "Failed to refit weight: shape mismatch"
    case .vocabulary: heading = "Failed to refit weight: shape mismatch (the vocabulary has another size)"
    case .elementType: heading = "Failed to refit weight: element type mismatch"
    case .sharding: heading = "The model cannot be shared out over the engine's ranks"
    case .configuration: heading = "The source's configuration cannot be used"
    case .emptied, .ungathered: heading = "Failed because weight is not initialized in model"
    default: return nil
    }
    switch problem {
    case .shape(let tensor, let found, let expected, _):
      self = .source(
        heading: heading, detail: "\(NameSummary.shortened(tensor))  checkpoint \(found)  its configuration \(expected)",
        remedy: "Check that weights and configuration of \(path) belong together.")
    case .elementType(let tensor, let found, let supported):
      self = .source(
        heading: heading, detail: "\(NameSummary.shortened(tensor))  checkpoint \(found)", remedy: "Supported: \(supported.joined(separator: ", ")).")
    case .missing(let names), .emptied(let names), .ungathered(let names), .unexpected(let names, _), .misnamed(let names, _, _):
      self = .source(heading: heading, detail: NameSummary(names).description, remedy: Self.remedy(problem, path), count: names.count)
    case .configuration(let key, let file, let reason):
      self = .source(
        heading: heading, detail: "\(file): '\(NameSummary.shortened(key))' \(reason)",
        remedy: reason.contains("not supported") && !reason.contains("Use the ")
          ? "Use another model or a variant without it; another value here would change the model's answers."
          : "Take the file from the model's own repository.")
    case .missingHead(let name):
      self = .source(
        heading: heading, detail: name,
        remedy: "Say tie_word_embeddings: true in \(path)'s config.json if the model has one table for both; else get the whole model.")
    case .sharding(let reason):
      self = .source(heading: heading, detail: reason, remedy: "Build an engine of this model with trtllm-build.")
    case .vocabulary(let tensors, let rows, let configured):
      self = .source(
        heading: heading, detail: "\(NameSummary(tensors))  rows \(rows)  vocab_size \(configured)",
        remedy: "Take the config.json that was saved with these weights.")
    default: return nil
    }
  }

  private static func remedy(_ problem: WeightSourceError.Problem, _ path: String) -> String {
    switch problem {
    case .misnamed(_, let cause, let remedy): "\(cause). \(remedy)"
    case .emptied: "Give the full weights instead of pruned or stripped ones."
    case .ungathered: WeightSourceError.gathering
    case .unexpected(let names, _): WeightSourceError.remedy(unexpected: names.count)
    default: "Check that \(path) is complete and that its configuration is from the same revision."
    }
  }
}

extension RefitError {
  /// A source whose tensors are wrong, as a refusal with every problem; nil for an error of another kind.
  init?(_ error: WeightSourceError) {
    let problems = error.problems.compactMap { RefitProblem($0, of: error.path) }
    guard problems.count == error.problems.count else { return nil }
    self.init(problems: problems)
  }
}
