public import SystemPackage

/// A single file that appears complete under its name, or not at all.
public enum AtomicFile {
  /// Writes beside the target, syncs, and renames. Of several that write one file at once the last to finish is what stays.
  public static func write(_ path: FilePath, bytes: [UInt8]) throws(FileError) {
    guard let name = path.lastComponent?.string else { throw FileError(path, .refused(reason: "has no last component. Name a file.")) }
    if let existing = try OutputDirectory.existing(path), existing.kind != .regular {
      throw FileError(path, .refused(reason: "exists and is no regular file, so it is not replaced. Name another."))
    }
    let parent = path.removingLastComponent().isEmpty ? FilePath(".") : path.removingLastComponent()
    removeLeftovers(of: name, in: parent)
    var attempts = 0
    while try !place(bytes, at: path, in: parent, name: name, isLast: attempts == mostAttempts) { attempts += 1 }
  }
  private static let mostAttempts = 8
  private static let ending = ".drydock-new"

  /// - Returns: False where somebody took the file away before it had its name: whoever looked for leftovers before it was locked, or
  ///   after it was closed.
  private static func place(_ bytes: [UInt8], at path: FilePath, in parent: FilePath, name: String, isLast: Bool) throws(FileError) -> Bool {
    let temporary = parent.appending(".\(name).\(String(UInt64.random(in: 0...UInt64.max), radix: 16))\(ending)")
    let file: WritableFile
    do throws(FileError) { file = try WritableFile(creating: temporary) } catch { throw FileError(path, error.problem) }
    do throws(FileError) {
      try? file.lock()  // on file systems without locks others' leftovers stay
      try file.write(at: 0, bytes)
      try file.sync()
      try file.close()
      try SystemCalls.rename(temporary, to: path)
      return true
    } catch {
      let isGone = error.errno == .noSuchFileOrDirectory && (try? SystemCalls.status(temporary, following: false)) == nil
      try? SystemCalls.removeFile(temporary)
      guard isGone, !isLast else { throw error }
      return false
    }
  }

  /// What runs that died left: nobody holds a lock on it.
  private static func removeLeftovers(of name: String, in parent: FilePath) {
    for file in (try? SystemCalls.list(parent)) ?? [] where file.hasPrefix(".\(name).") && file.hasSuffix(ending) {
      let path = parent.appending(file)
      guard (try? SystemCalls.status(path, following: false))?.kind == .regular, let descriptor = try? SystemCalls.open(path) else { continue }
      if (try? SystemCalls.lock(descriptor, waiting: false, path: path)) != nil { try? SystemCalls.removeFile(path) }
      try? SystemCalls.close(descriptor, path: path)
    }
  }
}
