import SystemPackage

/// What tells, without reading, that an open file was written to.
package struct FileState: Sendable, Hashable {
  /// Bytes.
  package var size: Int64
  package var modifiedSeconds: Int64
  package var modifiedNanoseconds: Int64
}

extension ReadableFile {
  /// Size and time of the last writing of the open file itself, whatever its path leads to by now; nil where the system
  /// does not say.
  package var state: FileState? {
    guard let status = try? FileDescriptor(rawValue: descriptor).stat() else { return nil }
    let time = status.st_mtim
    return FileState(size: Int64(status.size), modifiedSeconds: Int64(time.tv_sec), modifiedNanoseconds: Int64(time.tv_nsec))
  }
}
