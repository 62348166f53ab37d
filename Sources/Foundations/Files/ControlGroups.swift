import SystemPackage

/// The control groups that this process is in, as Linux shows them in files.
///
/// A group's limit holds for the groups below it too. In a container its own group is often mounted as the root, so that
/// the groups that `/proc/self/cgroup` names are not there: what is not there limits nothing.
struct ControlGroups {
  private let root: String
  /// By the name of a controller of version 1, which has a hierarchy of its own; "" for version 2.
  private var groups: [String: String] = [:]

  /// - Parameter root: A directory that stands for `/`; empty for the system's own.
  init(root: String) {
    self.root = root
    // Lines are `number:controllers:group`.
    for line in KernelFile.lines(root + "/proc/self/cgroup") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      for name in parts[1].split(separator: ",", omittingEmptySubsequences: false) { groups[String(name)] = String(parts[2]) }
    }
  }

  /// The group's folder and those of the groups above it, innermost first, by which a controller (`memory`, `cpu`) is
  /// bounded; empty where there are no groups.
  func folders(_ controller: String) -> [String] {
    guard let group = groups[controller] ?? groups[""] else { return [] }
    let mount = root + "/sys/fs/cgroup" + (groups[controller] == nil ? "" : "/" + controller)
    var names = group.split(separator: "/")
    // Above a namespace's root, or longer than any path: only the root can be looked at.
    if group.utf8.count > 4000 || names.contains("..") { names = [] }
    return (0...names.count).reversed().map { mount + names[..<$0].map { "/" + $0 }.joined() }
  }
}

/// Small text files that the kernel makes up as they are read.
enum KernelFile {
  /// None where the file cannot be read; of a file of more than 64 KiB those at the start.
  static func lines(_ path: String) -> [Substring] {
    let path = FilePath(path)
    guard let file = try? SystemCalls.open(path) else { return [] }
    defer { try? SystemCalls.close(file, path: path) }
    let room = 1 << 16
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
      while count < room {
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[count...])
        guard let read = try? unsafe SystemCalls.read(file, at: count, into: rest, path: path), read > 0 else { return }
        count += read
      }
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
  }

  /// The numbers of the first line, nil for a word; nil for a file that cannot be read.
  static func numbers(_ path: String) -> [Int?]? {
    lines(path).first.map { $0.split(separator: " ").map { Int($0) } }
  }
}
