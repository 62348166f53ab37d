#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The directory below which weights may be read on a client's word.
public struct WeightsRoot: Sendable {
  /// Without links and dots.
  public let path: String

  /// Nil where there is no such directory.
  public init?(_ path: String) {
    guard let resolved = Self.resolve(path), Self.isDirectory(resolved) else { return nil }
    self.path = resolved
  }

  /// The canonical path of a source that a client names, relative to the root or absolute.
  ///
  /// Links are followed before the place is judged, those inside a source directory too. Where a name leads outside by
  /// its letters alone, nothing is looked up.
  ///
  /// - Parameter files: Says which files are read with one.
  func source(_ name: String, field: String, files: (String) -> [String]) throws(APIError) -> String {
    guard !name.isEmpty, !name.utf8.contains(0) else {
      throw .invalid(field, "\(field) must be the path of weights below this server's weights root.")
    }
    let full = name.hasPrefix("/") ? name : path + "/" + name
    guard isBelow(Self.withoutDots(full)) else { throw outside(name, field) }
    guard let resolved = Self.resolve(full) else {
      throw .invalid(field, "\(field) is '\(Self.shown(name))'; there is no such file or directory below the weights root.", code: "source_not_found")
    }
    guard isBelow(resolved) else { throw outside(name, field) }
    var left = Self.entryLimit
    try check(resolved, Self.entries(resolved), name, field, depth: 0, &left)
    for file in files(resolved) {
      guard let target = Self.resolve(file), !isBelow(target) else { continue }
      throw linked(file.split(separator: "/").last.map(String.init) ?? file, name, field)
    }
    return resolved
  }

  /// Entries that are looked at, and levels of directories: in a hub's cache a model lies two levels down.
  private static let entryLimit = 10_000, depthLimit = 4

  private func check(
    _ directory: String, _ entries: [String], _ name: String, _ field: String, depth: Int, _ left: inout Int
  ) throws(APIError) {
    for entry in entries {
      left -= 1
      guard left >= 0 else {
        throw .invalid(field, "\(field) is '\(Self.shown(name))', which holds more than \(Self.entryLimit) files: name the directory of one model.")
      }
      guard let target = Self.resolve(directory + "/" + entry) else { continue }  // leads nowhere: nobody can read it
      guard isBelow(target) else { throw linked(entry, name, field) }
      if depth < Self.depthLimit { try check(target, Self.entries(target), name, field, depth: depth + 1, &left) }
    }
  }

  private func linked(_ entry: String, _ name: String, _ field: String) -> APIError {
    .invalid(field, "\(field) is '\(Self.shown(name))'; its '\(Self.shown(entry))' is a link to outside the weights root.", code: "outside_weights_root")
  }
  private func outside(_ name: String, _ field: String) -> APIError {
    .invalid(field, "\(field) is '\(Self.shown(name))', which is outside the weights root.", code: "outside_weights_root")
  }

  /// A client's word in a message, on one short line.
  private static func shown(_ name: String) -> String {
    let line = String(name.prefix(4096).map { $0.isNewline ? " " : $0 })
    return name.count <= 120 ? line : "\(line.prefix(60))…\(name.suffix(59).map { $0.isNewline ? " " : $0 }.map(String.init).joined())"
  }

  private func isBelow(_ other: String) -> Bool { path == "/" || other == path || other.hasPrefix(path + "/") }

  /// `a/./b/../c` as `a/c`, by its letters.
  private static func withoutDots(_ path: String) -> String {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
  }

  private static func resolve(_ path: String) -> String? {
    guard let resolved = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(resolved) }
    return unsafe String(validatingCString: resolved)
  }

  private static func isDirectory(_ path: String) -> Bool {
    guard let directory = unsafe opendir(path) else { return false }
    unsafe closedir(directory)
    return true
  }

  /// Names in a directory; none for a file.
  private static func entries(_ path: String) -> [String] {
    guard let directory = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }
}
