public import SystemPackage

/// What a directory holds.
public enum DirectoryListing {
  /// Names in the directory, sorted, without `.` and `..`.
  public static func names(in path: FilePath) throws(FileError) -> [String] { try SystemCalls.list(path) }
}
