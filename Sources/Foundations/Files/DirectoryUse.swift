package import SystemPackage

/// A directory that this process has in use: until ``end()``, no process removes it as unused.
///
/// A shared lock on the directory itself, so it ends with the process, whatever ends it.
package final class DirectoryUse: Sendable {
  package let path: FilePath
  private let descriptor: Int32
  private let ended = CloseState()

  private init(_ path: FilePath, _ descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
  }
  deinit { end() }

  /// nil where there is no such directory.
  package static func begin(_ path: FilePath) throws(FileError) -> DirectoryUse? {
    while true {
      let descriptor: Int32
      do throws(FileError) { descriptor = try SystemCalls.openDirectory(path) } catch {
        guard error.errno == .noSuchFileOrDirectory else { throw error }
        return nil
      }
      let use = DirectoryUse(path, descriptor)
      // Whoever holds it exclusively is removing it.
      try SystemCalls.lockShared(descriptor, path: path)
      let held = try SystemCalls.status(of: descriptor, path: path)
      guard let now = try OutputDirectory.existing(path) else { return nil }
      if now.isSameFile(as: held) { return use }
    }
  }

  package func end() { if ended.close() { try? SystemCalls.close(descriptor, path: path) } }
}

/// Work of which one process at a time does one, found by a name: a directory that is locked while the work lasts.
package final class ExclusiveWork: Sendable {
  private let path: FilePath
  private let lock: LockedDirectory
  private let ended = CloseState()

  private init(_ path: FilePath, _ lock: LockedDirectory) {
    self.path = path
    self.lock = lock
  }
  deinit { end() }

  /// nil while another process is at it.
  ///
  /// - Parameter path: Of a directory that is nothing else.
  package static func begin(_ path: FilePath) throws(FileError) -> ExclusiveWork? {
    do throws(FileError) { return ExclusiveWork(path, try LockedDirectory.acquire(path)) } catch {
      guard error.problem == .locked else { throw error }
      return nil
    }
  }

  package func end() {
    guard ended.close() else { return }
    try? lock.removeContents(as: path)
    try? SystemCalls.removeDirectory(path)
    lock.release()
  }

  /// Ends names of files that say how many bytes the work will write.
  private static let claim = ".bytes"

  /// Tells other processes how many bytes the work will take on the disk, until it ends.
  package func claim(_ byteCount: Int) throws(FileError) {
    let file = try WritableFile(creating: path.appending("\(byteCount)\(Self.claim)"))  // its name says it, so it is never half written
    try file.close()
  }

  /// What the work of a name claims; nil where no process does it.
  package static func claimed(_ path: FilePath) -> Int? {
    guard let names = try? SystemCalls.list(path) else { return nil }
    let bytes = names.compactMap { $0.hasSuffix(claim) ? Int($0.dropLast(claim.count)) : nil }.max()
    guard let bytes, bytes > 0 else { return nil }
    do throws(FileError) { try LockedDirectory.lockExisting(path, waiting: false).release() } catch {
      return error.problem == .locked ? bytes : nil
    }
    return nil  // left by a process that died
  }
}
