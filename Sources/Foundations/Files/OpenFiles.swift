import Synchronization
import SystemPackage

/// The files of an output that may still be open.
final class OpenFiles: Sendable {
  private let files = Mutex<[WritableFile]>([])

  func add(_ file: WritableFile) { files.withLock { $0.append(file) } }
  func first(at path: FilePath) -> WritableFile? { files.withLock { $0.first { $0.path == path } } }
  func forget() { files.withLock { $0 = [] } }
  /// Syncs and closes all of them.
  func closeAll() throws(FileError) {
    let open = files.withLock { files in
      defer { files = [] }
      return files
    }
    for file in open { try file.close() }
  }
}
