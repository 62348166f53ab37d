/// Why weights could not be made, changed or dropped while an engine runs. Nothing has changed then.
public enum LiveWeightsError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Bytes that all weights to be made need; `available` where the system says. `deletable` are versions that may go.
  case outOfMemory(wanted: Int, available: Int?, deletable: [String])
  /// The same of the memory of a device that the engine runs on.
  case outOfDeviceMemory(wanted: Int, available: Int, deletable: [String])
  /// Values that are NaN or infinite, a line for each weight: such weights break every answer.
  case nonFinite([String])
  /// The source brings a tokenizer whose ids are other tokens than those of the one that serves.
  case otherTokenizer(String)
  /// A field that the source has no use for: `base` or `lora_scale` of a whole model.
  case withoutEffect(field: String)
  /// The engine's directory is no longer the one that was opened.
  case engineReplaced(String)
  /// No version has this name; `known` are the names that there are.
  case unknownVersion(String, known: [String])
  /// Something else that changes weights is under way.
  case busy(String)
  /// The version that chooses tokens now, or the engine's own.
  case inUse(String, reason: String)
  /// No version was active before this one, or it was deleted.
  case nothingToUndo
  /// An adapter was to be put on a version that carries one; `bases` are versions that carry none.
  case carriesAdapter(String, adapters: [String], bases: [String])
  /// A base version was named for a source that is a whole model, or that brings its own base.
  case needsNoBaseVersion(String)

  /// Weights that a message names at most.
  private static let mostLines = 20

  public var description: String {
    switch self {
    case .outOfMemory(let wanted, let available, let deletable):
      "The new weights need \(wanted) bytes beside the old ones"
        + (available.map { "; the system has \($0) to spare" } ?? ", which the system does not give") + ". "
        + (deletable.isEmpty
          ? "Give the server more memory, or refit the engine into files with trtllm-refit."
          : "Delete versions that are no longer needed: \(deletable.joined(separator: ", ")).")
    case .outOfDeviceMemory(let wanted, let available, let deletable):
      "The new weights need \(wanted) bytes of the device's memory beside the old ones, and \(available) are free there. "
        + (deletable.isEmpty
          ? "Restart the server with more --weights_memory, or refit the engine into files with trtllm-refit."
          : "Delete versions that are no longer needed: \(deletable.joined(separator: ", ")).")
    case .nonFinite(let weights):
      "The new weights hold values that are no numbers, which would break every answer (\(weights.count)):\n  "
        + weights.prefix(Self.mostLines).joined(separator: "\n  ")
        + (weights.count > Self.mostLines ? "\n  … and \(weights.count - Self.mostLines) more" : "")
        + "\nMend the source; where it is an adapter, look at lora_alpha and lora_scale first."
    case .otherTokenizer(let source):
      "The tokens of \(source) are not those of the tokenizer that serves, which a change of weights leaves as it is: answers would be "
        + "wrong. Refit the engine into files with trtllm-refit and serve that, or give keep_tokenizer if the weights fit after all."
    case .withoutEffect(let field):
      "\(field) is for adapters, but the source is a whole model, so that it would have no effect. Leave it out"
        + (field == "lora_scale" ? ", or give adapters." : ", or give an adapter as source.")
    case .engineReplaced(let path):
      "The engine directory \(path) was replaced or removed since this server opened it, and new weights are checked against "
        + "what is there. Restart the server to serve the engine that is there now, or put the old one back."
    case .unknownVersion(let name, let known):
      "There is no version '\(name)' here; there are \(known.joined(separator: ", "))."
    case .busy(let what): "\(what) is under way. Try again when it has ended."
    case .inUse(let name, let reason): "Version '\(name)' cannot be deleted: \(reason)"
    case .carriesAdapter(let name, let adapters, let bases):
      "Version '\(name)' already carries \(adapters.joined(separator: ", ")), and adapters are never stacked unasked. "
        + (bases.isEmpty ? "Give the base weights with base, " : "Name one of \(bases.joined(separator: ", ")) as base_version, ")
        + "or give all adapters of one base in one request with adapters."
    case .needsNoBaseVersion(let name):
      "base_version is '\(name)', but the source is a whole model or comes with a base of its own, so that no version can "
        + "be under it. Leave base_version out, or give an adapter alone."
    case .nothingToUndo: "No version was active before this one, or it was deleted."
    }
  }
}
