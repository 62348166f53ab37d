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

  private static let workSuffix = ".lock.drydock-new"
  /// What is locked while an engine is built or removed.
  static func work(on engine: FilePath) -> FilePath {
    engine.removingLastComponent().appending(".\(engine.lastComponent?.string ?? "")\(workSuffix)")
  }

  /// Bytes that builds of other processes will take in all, and how many of them they have not yet written.
  private func claims() -> (all: Int, outstanding: Int) {
    var (all, outstanding) = (0, 0)
    for name in (try? Directory.names(in: directory)) ?? [] where name.hasPrefix(".") && name.hasSuffix(Self.workSuffix) {
      let engine = String(name.dropFirst().dropLast(Self.workSuffix.count))
      guard Self.isEntry(engine), Directory.kind(of: directory.appending(engine)) == nil,  // there already: it is among the entries
        let claim = ExclusiveWork.claimed(directory.appending(name))
      else { continue }
      all += claim
      outstanding += max(0, claim - CacheDirectory.allocatedByteCount(directory.appending(".\(engine).drydock-new")))
    }
    return (all, outstanding)
  }

  /// Removes engines that were not used for longest until one of `needed` bytes fits, and claims so many for `work`. Those
  /// in use stay, and room that other builds have claimed is none.
  ///
  /// - Throws: ``EngineCacheError``; where it can be known before, nothing was removed.
  func makeRoom(for needed: Int, _ work: ExclusiveWork, report: (Event) -> Void) async throws {
    // One process at a time, or two would find the same room.
    var turn: ExclusiveWork?
    while true {
      turn = try ExclusiveWork.begin(directory.appending(".space\(Self.workSuffix)"))
      guard turn == nil else { break }
      try await Task.sleep(for: .milliseconds(20))
    }
    defer { turn?.end() }
    try makeRoom(for: needed, report: report)
    try work.claim(needed)
  }

  private func makeRoom(for needed: Int, report: (Event) -> Void) throws {
    let held = entries()
    let others = claims()
    let removable = held.reduce(0) { $0 + $1.byteCount }
    var total = removable + others.all
    var free = try CacheDirectory.freeSpace(directory) - others.outstanding
    // Without a limit, one engine may always be there, however little space is free beside it.
    let allowed = limit ?? max(needed, (free + total) / 5)
    guard needed <= allowed else { throw EngineCacheError(directory, .tooLarge(needed: needed, limit: allowed)) }
    guard needed <= free + removable else { throw EngineCacheError(directory, .noSpace(needed: needed, free: max(0, free))) }
    for entry in held where total + needed > allowed || free < needed {
      // Whoever built it a moment ago may not have it in use yet, but still holds the lock of the work on it.
      guard let removal = try ExclusiveWork.begin(Self.work(on: entry.path)) else { continue }
      defer { removal.end() }
      guard try CacheDirectory.remove(entry.path) else { continue }
      total -= entry.byteCount
      free += entry.byteCount
      report(.removed(entry.path, byteCount: entry.byteCount))
    }
    free = try CacheDirectory.freeSpace(directory) - others.outstanding
    guard free >= needed else { throw EngineCacheError(directory, .noSpace(needed: needed, free: max(0, free))) }
    guard limit == nil || total + needed <= allowed else {
      throw EngineCacheError(directory, .inUse(needed: needed, limit: allowed, used: total))
    }
  }
}
