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
    case .nothingToUndo: "No version was active before this one, or it was deleted."
    }
  }
}
