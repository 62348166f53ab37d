import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A directory whose lock this process holds. The lock ends with the process, whatever ends it.
final class LockedDirectory: Sendable {
  let descriptor: Int32
  private let released = CloseState()

  private init(_ descriptor: Int32) { self.descriptor = descriptor }
  deinit { release() }

  /// Makes `path` or takes over what a dead run left there, locked and empty.
  ///
  /// - Throws: ``FileError/Problem/locked`` while another run holds it.
  static func acquire(_ path: FilePath) throws(FileError) -> LockedDirectory {
    while true {
      do throws(FileError) { try SystemCalls.makeDirectory(path) } catch {
        guard error.errno == .fileExists else { throw error }
        // What is not a directory is not ours: a link would lead the clearing below to someone else's files.
        if let there = try OutputDirectory.existing(path), there.kind != .directory {
          throw FileError(path, .refused(reason: "stands where the output is prepared and is not a directory. Remove it."))
        }
      }
      let directory: LockedDirectory
      do throws(FileError) { directory = try lockExisting(path, waiting: false) } catch {
        if error.errno == .noSuchFileOrDirectory { continue }  // its owner finished in between
        throw error
      }
      // The owner may have finished, and someone else begun anew, between our open and our lock.
      let held = try SystemCalls.status(of: directory.descriptor, path: path)
      guard let now = try OutputDirectory.existing(path), now.isSameFile(as: held) else { continue }
      try directory.removeContents(as: path)
      return directory
    }
  }

  /// Locks a directory that exists.
  ///
  /// Not waiting still means a tenth of a second: a process that was started a moment ago may hold a copy of a descriptor
  /// that its parent has closed, until it runs its own program.
  static func lockExisting(_ path: FilePath, waiting: Bool = true) throws(FileError) -> LockedDirectory {
    let directory = LockedDirectory(try SystemCalls.openDirectory(path))
    for attempt in 0... {
      do throws(FileError) {
        try SystemCalls.lock(directory.descriptor, waiting: waiting, path: path)
        break
      } catch {
        guard error.errno == .wouldBlock else { throw error }
        guard attempt < 10 else { throw FileError(path, .locked) }
        usleep(10_000)
      }
    }
    return directory
  }

  /// Removes the files in the directory, which now has the name `path`. A sub-directory is an error: we make none.
  func removeContents(as path: FilePath) throws(FileError) {
    for name in try SystemCalls.list(path) { try SystemCalls.removeFile(path.appending(name)) }
  }

  func release() { if released.close() { try? SystemCalls.close(descriptor, path: "") } }
}
