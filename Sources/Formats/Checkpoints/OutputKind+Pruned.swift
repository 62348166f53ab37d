package import Files
import SystemPackage

extension OutputKind {
  /// A checkpoint that is not pruned, as converting and restoring write it.
  package static let wholeCheckpoint = checkpoint.named("a checkpoint with its values") { directory in
    isPruned(directory) == true ? "a pruned checkpoint, perhaps a skeleton (config.json says is_pruned)" : nil
  }
  static let prunedCheckpoint = checkpoint.named("a pruned checkpoint") { directory in
    switch isPruned(directory) {
    case true?: nil
    case false?: "a checkpoint with its values, which would be lost"
    case nil: "a checkpoint whose config.json cannot be read"
    }
  }

  private static func isPruned(_ directory: FilePath) -> Bool? {
    (try? CheckpointDirectory.readConfig(directory)).map { $0.json["is_pruned"]?.bool ?? false }
  }
}
