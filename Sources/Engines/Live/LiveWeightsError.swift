/// Why weights could not be made, changed or dropped while an engine runs. Nothing has changed then.
public enum LiveWeightsError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Bytes; `available` where the system says.
  case outOfMemory(wanted: Int, available: Int?)
  case unknownVersion(String, known: [String])
  /// Something else that changes weights is under way.
  case busy(String)
  /// The version that chooses tokens now, or the engine's own.
  case inUse(String, reason: String)
  case nothingToUndo
  /// An adapter was to be put on a version that carries one; `bases` are versions that carry none.
  case carriesAdapter(String, adapters: [String], bases: [String])
  /// A base version was named for a source that is a whole model, or that brings its own base.
  case needsNoBaseVersion(String)

  public var description: String {
    switch self {
    case .outOfMemory(let wanted, let available):
      "The new weights need \(wanted) bytes beside the old ones"
        + (available.map { "; the system has \($0) to spare" } ?? ", which the system does not give")
        + ". Delete versions that are no longer needed."
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
