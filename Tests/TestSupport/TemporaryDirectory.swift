import Foundation
public import SystemPackage

/// A directory that goes, with all that is in it, when this object does, or the process.
public final class TemporaryDirectory: Sendable {
  public let path: FilePath

  /// - Parameter inMemory: Prefer a file system without a disk, where syncing costs nothing.
  public init(inMemory: Bool = false) {
    let memory = "/dev/shm"
    let base =
      inMemory && FileManager.default.isWritableFile(atPath: memory)
      ? memory : FileManager.default.temporaryDirectory.path
    path = FilePath(base).appending(LeftBehind.name())
    try! FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: true)
    LeftBehind.add(path.string)
  }
  deinit { LeftBehind.remove(path.string) }

  /// A path in here.
  public func callAsFunction(_ name: String) -> FilePath { path.appending(name) }
  /// Writes a small file, making directories on the way.
  @discardableResult
  public func write(_ name: String, _ bytes: [UInt8]) -> FilePath {
    let path = self(name)
    try! FileManager.default.createDirectory(
      atPath: path.removingLastComponent().string, withIntermediateDirectories: true)
    try! Data(bytes).write(to: URL(fileURLWithPath: path.string))
    return path
  }
  @discardableResult
  public func write(_ name: String, _ text: String) -> FilePath { write(name, Array(text.utf8)) }
}

/// A whole file; nil where there is none.
public func contents(_ path: FilePath) -> [UInt8]? {
  FileManager.default.contents(atPath: path.string).map { Array($0) }
}
public func text(_ path: FilePath) -> String? { contents(path).map { String(decoding: $0, as: UTF8.self) } }
public func names(in path: FilePath) -> [String]? {
  (try? FileManager.default.contentsOfDirectory(atPath: path.string))?.sorted()
}
public func makeDirectory(_ path: FilePath) {
  try! FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: true)
}
public func makeSymbolicLink(_ path: FilePath, to target: FilePath) {
  try! FileManager.default.createSymbolicLink(atPath: path.string, withDestinationPath: target.string)
}
/// Every file below a directory with its bytes, by relative path. Two snapshots are equal when nothing changed.
public func snapshot(_ directory: FilePath) -> [String: [UInt8]] {
  var found: [String: [UInt8]] = [:]
  guard let walk = FileManager.default.enumerator(atPath: directory.string) else { return found }
  for case let name as String in walk { found[name] = contents(directory.appending(name)) ?? [] }
  return found
}
/// Removes a file or a directory with all that is in it; it need not be there.
public func remove(_ path: FilePath) { try? FileManager.default.removeItem(atPath: path.string) }
