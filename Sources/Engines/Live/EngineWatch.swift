import Files

/// Sees when an open engine's files are written to. They are mapped: other bytes in them are other weights at once, and
/// reading beyond the end of a shortened one ends the process.
public struct EngineWatch: Sendable {
  private let files: [(file: EngineFile, state: FileState?)]

  /// What the files are now is what they have to stay.
  public init(_ engine: EngineDirectory) { files = engine.ranks.map { ($0, $0.tensors.file.state) } }

  /// What happened, in words; nil where nothing did. That the directory was replaced or removed is nothing: the open
  /// files are still those.
  public var change: String? {
    for (file, state) in files {
      let now = file.tensors.file.state
      guard now != state else { continue }
      let what = now?.size == state?.size ? "was written to" : "has \(now?.size ?? 0) bytes instead of \(state?.size ?? 0)"
      return "\(file.path) \(what) since this server opened it, so its answers cannot be trusted. "
        + "Restart the server, and never overwrite an engine's files in place."
    }
    return nil
  }
}

extension EngineDirectory {
  /// Whether the paths by which the rank files were opened still lead to them.
  package var isInPlace: Bool { ranks.allSatisfy { $0.tensors.file.isInPlace } }
}
