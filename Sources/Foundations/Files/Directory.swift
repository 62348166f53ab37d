public import SystemPackage

/// Looking at directories.
public enum Directory {
  /// Names of everything in a directory, sorted, without `.` and `..`.
  public static func names(in path: FilePath) throws(FileError) -> [String] { try SystemCalls.list(path) }

  /// Names of the regular files in a directory, sorted; a symbolic link counts as what it leads to.
  public static func files(in path: FilePath) throws(FileError) -> [String] {
    var names: [String] = []
    for name in try SystemCalls.list(path) where kind(of: path.appending(name)) == .file { names.append(name) }
    return names
  }

  /// Sockets, devices and pipes are `other`; a symbolic link counts as what it leads to.
  public enum Kind: Sendable { case file, directory, other }

  /// What a path leads to, links followed; nil where there is nothing or it cannot be looked at.
  public static func kind(of path: FilePath) -> Kind? {
    switch (try? SystemCalls.status(path, following: true))?.kind {
    case nil: nil
    case .regular: .file
    case .directory: .directory
    case .symbolicLink, .other: .other
    }
  }

  /// The path from the root on, links as they are, so that it leads there from any other directory too.
  public static func absolute(_ path: FilePath) -> FilePath {
    guard !path.isAbsolute, let here = try? SystemCalls.resolve(".") else { return path }
    // After a link `..` is not the directory that stands before it.
    if path.components.contains(where: { $0.kind == .parentDirectory }), let resolved = try? SystemCalls.resolve(path) { return resolved }
    return here.pushing(path).lexicallyNormalized()
  }

  /// The absolute path with symbolic links followed; everything in it must exist.
  public static func resolve(_ path: FilePath) throws(FileError) -> FilePath { try SystemCalls.resolve(path) }
}
