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
  ///
  /// - Parameter mark: The file that makes a share complete. It goes first, so that no half of a share looks whole.
  package static func discardShares(_ directory: FilePath, mark: String) {
    for name in (try? SystemCalls.list(directory)) ?? [] { discardShare(directory.appending(name), mark: mark) }
    try? SystemCalls.removeDirectory(directory)
  }

  package static func discardShare(_ share: FilePath, mark: String) {
    guard let names = try? SystemCalls.list(share), let lock = try? LockedDirectory.lockExisting(share, waiting: false) else { return }
    defer { lock.release() }
    do throws(FileError) {
      if names.contains(mark) { try SystemCalls.removeFile(share.appending(mark)) }
      try lock.removeContents(as: share)
      try SystemCalls.removeDirectory(share)
    } catch {}  // what stays is no share any more, and the next run clears it away
  }
}
