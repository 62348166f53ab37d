import Files
import SystemPackage

extension EngineCache {
  /// An engine in the cache.
  struct Entry {
    let path: FilePath
    let byteCount: Int
    /// Seconds and nanoseconds since 1970.
    let lastUsed: (seconds: Int, nanoseconds: Int)
  }

  /// What this program has put there, least recently used first; whatever else lies in the directory is left alone.
  func entries() -> [Entry] {
    ((try? Directory.names(in: directory)) ?? []).filter(Self.isEntry).map { name in
      let path = directory.appending(name)
      let time = try? path.stat().st_mtim
      return Entry(
        path: path, byteCount: CacheDirectory.byteCount(path), lastUsed: (Int(time?.tv_sec ?? 0), Int(time?.tv_nsec ?? 0)))
    }.sorted { ($0.lastUsed.seconds, $0.lastUsed.nanoseconds, $0.path.string) < ($1.lastUsed.seconds, $1.lastUsed.nanoseconds, $1.path.string) }
  }

  static func isEntry(_ name: String) -> Bool {
    name.hasPrefix(prefix) && name.count == prefix.count + 32 && name.dropFirst(prefix.count).allSatisfy { $0.isASCII && $0.isHexDigit }
  }

  /// Removes engines that were not used for longest until one of `needed` bytes fits; those in use stay.
  ///
  /// - Throws: ``EngineCacheError``; where it can be known before, nothing was removed.
  func makeRoom(for needed: Int, report: (Event) -> Void) throws {
    let held = entries()
    var total = held.reduce(0) { $0 + $1.byteCount }
    var free = try CacheDirectory.freeSpace(directory)
    // Without a limit, one engine may always be there, however little space is free beside it.
    let allowed = limit ?? max(needed, (free + total) / 5)
    guard needed <= allowed else { throw EngineCacheError(directory, .tooLarge(needed: needed, limit: allowed)) }
    guard needed <= free + total else { throw EngineCacheError(directory, .noSpace(needed: needed, free: free)) }
    for entry in held where total + needed > allowed || free < needed {
      guard try CacheDirectory.remove(entry.path) else { continue }
      total -= entry.byteCount
      free += entry.byteCount
      report(.removed(entry.path, byteCount: entry.byteCount))
    }
    free = try CacheDirectory.freeSpace(directory)
    guard free >= needed else { throw EngineCacheError(directory, .noSpace(needed: needed, free: free)) }
    guard limit == nil || total + needed <= allowed else {
      throw EngineCacheError(directory, .inUse(needed: needed, limit: allowed, used: total))
    }
  }
}
