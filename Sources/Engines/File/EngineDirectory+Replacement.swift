import Files
import SystemPackage

extension EngineDirectory {
  /// Whether an output to `target` would take the place of an engine that is no longer this one.
  ///
  /// False for any target but the engine's own directory. What is asked is which files the names lead to, so nothing is read.
  func isReplaced(by target: FilePath) -> Bool {
    isOwn(target) && ranks.contains { !$0.tensors.file.isInPlace }
  }

  /// Whether `target` leads to this engine's directory, by whatever spelling.
  func isOwn(_ target: FilePath) -> Bool {
    guard let other = try? Directory.resolve(target), let mine = try? Directory.resolve(path) else { return false }
    return other == mine
  }
}
