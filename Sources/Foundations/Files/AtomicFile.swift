public import SystemPackage

/// A single file that appears complete under its name, or not at all.
public enum AtomicFile {
  /// Writes beside the target, syncs, and renames.
  public static func write(_ path: FilePath, bytes: [UInt8]) throws(FileError) {
    guard let name = path.lastComponent?.string else { throw FileError(path, .refused(reason: "has no last component. Name a file.")) }
    if let existing = try OutputDirectory.existing(path), existing.kind != .regular {
      throw FileError(path, .refused(reason: "exists and is no regular file, so it is not replaced. Name another."))
    }
    let parent = path.removingLastComponent().isEmpty ? FilePath(".") : path.removingLastComponent()
    let temporary = parent.appending(".\(name).drydock-new")
    try? SystemCalls.removeFile(temporary)  // a dead run's leftover
    let file: WritableFile
    do throws(FileError) { file = try WritableFile(creating: temporary) } catch { throw FileError(path, error.problem) }
    do throws(FileError) {
      try file.write(at: 0, bytes)
      try file.sync()
      try file.close()
      try SystemCalls.rename(temporary, to: path)
    } catch {
      try? SystemCalls.removeFile(temporary)
      throw error
    }
  }
}
