/// Memory that this process can use without taking it from others: what the system has left, or what the control groups
/// leave it, whichever is less.
///
/// Pages of files that the system could drop count as left, as in Linux's own `MemAvailable`; those of mapped weights too.
struct AvailableMemory {
  private let root: String

  /// - Parameter root: A directory that stands for `/`; empty for the system's own.
  init(root: String) { self.root = root }

  /// nil where nothing says.
  var byteCount: Int? {
    ([system] + ControlGroups(root: root).folders("memory").map(leftOf)).compactMap { $0 }.min()
  }

  private var system: Int? {
    guard let kibibytes = Self.member("MemAvailable:", of: root + "/proc/meminfo"), kibibytes < Self.unlimited / 1024 else { return nil }
    return kibibytes * 1024
  }

  /// What a group has left of its limits; nil for one without. Version 2, then version 1.
  private func leftOf(_ group: String) -> Int? {
    if let limit = [Self.limit(group + "/memory.max"), Self.limit(group + "/memory.high")].compactMap({ $0 }).min() {
      return left(of: limit, group, used: "/memory.current", files: ["active_file", "inactive_file"])
    }
    guard let limit = Self.limit(group + "/memory.limit_in_bytes") else { return nil }
    return left(of: limit, group, used: "/memory.usage_in_bytes", files: ["total_active_file", "total_inactive_file"])
  }

  private func left(of limit: Int, _ group: String, used: String, files: [String]) -> Int {
    let used = Self.number(group + used) ?? 0
    let files = files.reduce(0) { $0 + (Self.member($1, of: group + "/memory.stat") ?? 0) }
    return limit - min(limit, used - min(used, files))
  }

  /// Version 2 says "max" for none, version 1 a number near 2^63; 0 would leave no room for who asks.
  private static let unlimited = 1 << 60
  private static func limit(_ path: String) -> Int? { number(path).flatMap { $0 > 0 ? $0 : nil } }
  private static func number(_ path: String) -> Int? {
    guard let numbers = KernelFile.numbers(path), numbers.count == 1, let number = numbers[0] else { return nil }
    return (0..<unlimited).contains(number) ? number : nil
  }
  /// The number after a name that begins a line.
  private static func member(_ name: String, of path: String) -> Int? {
    for line in KernelFile.lines(path) {
      let words = line.split(separator: " ")
      guard words.count >= 2, words[0] == name else { continue }
      return Int(words[1]).flatMap { (0..<unlimited).contains($0) ? $0 : nil }
    }
    return nil
  }
}
