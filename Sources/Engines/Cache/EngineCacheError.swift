public import Files
public import SystemPackage

/// Why an engine cannot be kept in a cache.
public struct EngineCacheError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Why an engine cannot be kept. All sizes are bytes.
  public enum Problem: Equatable, Sendable {
    /// The engine is larger than the cache may be. All in bytes.
    case tooLarge(needed: Int, limit: Int)
    /// What other processes use cannot be removed.
    case inUse(needed: Int, limit: Int, used: Int)
    /// The file system has less space than the engine needs.
    case noSpace(needed: Int, free: Int)
    /// A file of the cache cannot be read, written or locked.
    case file(FileError)
    /// What was built is gone or damaged at once.
    case lost
  }
  /// The cache's.
  public let directory: FilePath
  /// What stands in the way.
  public let problem: Problem

  init(_ directory: FilePath, _ problem: Problem) {
    self.directory = directory
    self.problem = problem
  }

  public var description: String {
    switch problem {
    case .tooLarge(let needed, let limit):
      "Raise --engine_cache_size: the engine needs \(Self.megabytes(needed)), and \(directory) may hold \(Self.megabytes(limit))."
    case .inUse(let needed, let limit, let used):
      "Raise --engine_cache_size: the engine needs \(Self.megabytes(needed)), \(directory) may hold \(Self.megabytes(limit)), "
        + "and running processes use \(Self.megabytes(used)) of it."
    case .noSpace(let needed, let free):
      "Free some space, or name another directory with --engine_cache: the engine needs \(Self.megabytes(needed)), "
        + "and \(Self.megabytes(free)) are free at \(directory)."
    case .file(let error):
      "\(error) The engine built of a model is kept there: --engine_cache names another directory."
    case .lost:
      "\(directory): the engine that was just built is gone or damaged. Run again; if this repeats, check the disk."
    }
  }

  private static func megabytes(_ bytes: Int) -> String {
    bytes < 10_000_000 ? "\((bytes + 999) / 1000) kB" : "\((bytes + 999_999) / 1_000_000) MB"
  }
}
