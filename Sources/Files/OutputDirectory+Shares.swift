package import SystemPackage

/// For outputs that several processes make together, each its own complete directory first.
extension OutputDirectory {
  /// Gives the output a file that is complete already: another name for the same bytes where the file system allows it,
  /// a copy elsewhere.
  package func adopt(_ file: FilePath, name: String) throws(FileError) {
    do throws(FileError) { try SystemCalls.link(file, to: path.appending(name)) } catch {
      guard error.errno != .noSuchFileOrDirectory else { throw error }
      try copyFile(from: file, name: name)
    }
  }

  /// Removes a directory of such shares, and what dead runs left in it; a share that a live run is writing stays.
  package static func discardShares(_ directory: FilePath) {
    for name in (try? SystemCalls.list(directory)) ?? [] {
      let share = directory.appending(name)
      guard let lock = try? LockedDirectory.lockExisting(share, waiting: false) else { continue }
      try? lock.removeContents(as: share)
      try? SystemCalls.removeDirectory(share)
      lock.release()
    }
    try? SystemCalls.removeDirectory(directory)
  }
}
