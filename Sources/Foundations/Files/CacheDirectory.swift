package import SystemPackage

/// Calls for a directory that holds directories of plain files, each of which can be made again.
package enum CacheDirectory {
  /// Ends the hidden names of directories that are being removed.
  static let removed = ".drydock-gone"

  /// Makes `path` and what is missing above it, readable for their owner alone: what is cached may be private.
  package static func make(_ path: FilePath) throws(FileError) {
    guard try OutputDirectory.existing(path) == nil else { return }
    let parent = path.removingLastComponent()
    if !parent.isEmpty, parent != path { try make(parent) }
    do throws(FileError) { try SystemCalls.makePrivateDirectory(path) } catch {
      guard error.errno == .fileExists else { throw error }  // another run was faster
    }
  }

  /// Bytes that can still be written there.
  package static func freeSpace(_ path: FilePath) throws(FileError) -> Int { try SystemCalls.freeSpace(path) }

  /// Bytes of the files in a directory of plain files.
  package static func byteCount(_ path: FilePath) -> Int {
    ((try? SystemCalls.list(path)) ?? []).reduce(0) { sum, name in
      sum + ((try? SystemCalls.status(path.appending(name), following: false))?.byteCount ?? 0)
    }
  }

  /// Bytes that the files in a directory of plain files take on the disk so far.
  package static func allocatedByteCount(_ path: FilePath) -> Int {
    ((try? SystemCalls.list(path)) ?? []).reduce(0) { sum, name in
      sum + ((try? SystemCalls.status(path.appending(name), following: false))?.allocatedByteCount ?? 0)
    }
  }

  /// Remembers that the directory was used now. On a disk that cannot be written to, nothing is.
  package static func markUsed(_ path: FilePath) { try? SystemCalls.touch(path) }

  /// Removes a directory of plain files at once from its name, then from the disk.
  ///
  /// - Parameter evenIfUsed: Processes that have its files open keep them; no other finds it any more.
  /// - Returns: Whether its name is free: false where a process has it in use.
  package static func remove(_ path: FilePath, evenIfUsed: Bool = false) throws(FileError) -> Bool {
    guard let name = path.lastComponent?.string else { return false }
    let lock: LockedDirectory?
    do throws(FileError) { lock = try LockedDirectory.lockExisting(path, waiting: false) } catch {
      if error.errno == .noSuchFileOrDirectory { return true }
      guard error.problem == .locked else { throw error }
      guard evenIfUsed else { return false }
      lock = nil
    }
    defer { lock?.release() }
    for number in 0... {
      let aside = path.removingLastComponent().appending(".\(name).\(number)\(removed)")
      do throws(FileError) { try SystemCalls.renameDirectory(path, toNew: aside) } catch {
        if error.errno == .fileExists { continue }
        throw error
      }
      // What is in use stays until a later ``sweep(_:)`` finds it unused.
      guard let lock else { return true }
      try lock.removeContents(as: aside)
      try SystemCalls.removeDirectory(aside)
      return true
    }
    return false
  }

  /// Clears away what dead runs left: outputs that were never finished, and directories that were not yet removed.
  package static func sweep(_ path: FilePath) {
    for name in (try? SystemCalls.list(path)) ?? [] where name.hasPrefix(".") && (name.hasSuffix(removed) || name.hasSuffix(".drydock-new")) {
      let left = path.appending(name)
      guard let lock = try? LockedDirectory.lockExisting(left, waiting: false) else { continue }
      try? lock.removeContents(as: left)
      try? SystemCalls.removeDirectory(left)
      lock.release()
    }
  }
}
