import Foundation
import Synchronization

/// Directories of this process that are still there, so that none outlives it: objects that live as long as the process
/// are never let go, and a process that is killed cannot clean up after itself, but the next one can.
enum LeftBehind {
  private static let paths = Mutex<Set<String>>([])
  private static let prefix = "drydock-tests-"

  /// A new name, which says whose it is.
  static func name() -> String { "\(prefix)\(getpid())-\(UUID().uuidString)" }

  static func add(_ path: String) {
    _ = sweeping
    _ = paths.withLock { $0.insert(path) }
  }

  static func remove(_ path: String) {
    try? FileManager.default.removeItem(atPath: path)
    _ = paths.withLock { $0.remove(path) }
  }

  /// Once for a process: removes what dead ones left, and sees to it that this one leaves nothing.
  private static let sweeping: Void = {
    for base in [FileManager.default.temporaryDirectory.path, "/dev/shm"] {
      for name in (try? FileManager.default.contentsOfDirectory(atPath: base)) ?? [] where name.hasPrefix(prefix) {
        guard let owner = Int32(name.dropFirst(prefix.count).prefix { $0 != "-" }), kill(owner, 0) != 0, errno == ESRCH else { continue }
        try? FileManager.default.removeItem(atPath: base + "/" + name)
      }
    }
    atexit { for path in LeftBehind.paths.withLock({ $0 }) { try? FileManager.default.removeItem(atPath: path) } }
  }()
}
