import SystemPackage

/// What tells, without reading, that an open file was written to.
package struct FileState: Sendable, Hashable {
  /// Bytes.
  package var size: Int64
  package var modifiedSeconds: Int64
  package var modifiedNanoseconds: Int64
}

extension ReadableFile {
  /// When the file's bytes were last written, and when anything about it last changed, which no program can set; nil where
  /// the system does not say.
  package var timesOfChange: String? {
    guard let status = try? FileDescriptor(rawValue: descriptor).stat() else { return nil }
    let (written, changed) = (status.st_mtim, status.st_ctim)
    return "\(written.tv_sec).\(written.tv_nsec) \(changed.tv_sec).\(changed.tv_nsec)"
  }

  /// Size and time of the last writing of the open file itself, whatever its path leads to by now; nil where the system
  /// does not say.
  package var state: FileState? {
    guard let status = try? FileDescriptor(rawValue: descriptor).stat() else { return nil }
    let time = status.st_mtim
    return FileState(size: Int64(status.size), modifiedSeconds: Int64(time.tv_sec), modifiedNanoseconds: Int64(time.tv_nsec))
  }
}
