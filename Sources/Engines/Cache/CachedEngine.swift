import Files
public import SystemPackage

/// An engine of a cache, which no process removes from there until ``end()``.
public struct CachedEngine: Sendable {
  /// Its directory, within the cache.
  public let path: FilePath
  /// What was said of the model when the engine was built.
  let warnings: Lineage.Warnings
  private let use: DirectoryUse

  /// nil where there is no engine, or none that can be trusted; then `broken` gets the reason.
  init?(_ path: FilePath, broken: (String) -> Void) throws {
    guard let use = try DirectoryUse.begin(path) else { return nil }
    let lineage: Lineage?
    do {
      let engine = try EngineDirectory(path)
      // Every rank file carries the digest by which the lineage knows it; files mixed from two engines were found above.
      lineage = try Lineage(directory: path)
      let known = lineage?.ranks.map(\.root)
      guard let known, known == engine.ranks.map(\.root), !engine.ranks.contains(where: { $0.isStripped }) else {
        throw EngineError(path, .source(reason: "its files are not those of its lineage.json"))
      }
      // It was refitted in place: it is another model's now.
      guard lineage?.action == "build" else { throw EngineError(path, .source(reason: "it was refitted")) }
      for (name, file) in lineage?.files ?? [:] {
        guard Directory.has(name, in: path), try AuxiliaryFile(name, at: path.appending(name)).digest() == file.digest else {
          throw EngineError(path, .source(reason: "its \(name) is not that of its lineage.json"))
        }
      }
    } catch {
      use.end()
      broken("\(error)")
      return nil
    }
    self.path = path
    self.use = use
    warnings = lineage?.warnings ?? Lineage.Warnings()
  }

  /// Says that the process needs the directory no more.
  public func end() { use.end() }
}
