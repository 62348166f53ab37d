public import Checkpoints
import Files
public import JSON
import OrderedCollections
public import SystemPackage
import WeightSources

/// A directory with `config.json` and one `rank{r}.engine` for each rank.
public struct EngineDirectory: Sendable {
  /// As it was given.
  public let path: FilePath
  /// `config.json` as written: `version`, `pretrained_config`, `build_config`, and ours beside them.
  public let configuration: JSONValue
  /// The model's configuration: `pretrained_config` of ``configuration``.
  public let pretrained: CheckpointConfig
  /// One for each rank of the mapping, by rank.
  public let ranks: [EngineFile]
  /// Other regular files (tokenizer and such), which travel through every refit.
  public let auxiliaryFiles: [String]

  /// - Throws: ``EngineError`` where something is missing, where one file does not fit the others or `config.json`, or where a rank file is
  ///   of another engine.
  public init(_ path: FilePath) throws {
    do { try self.init(opening: path) } catch let error as EngineError {
      // A refit in place may have swapped the directory while it was opened: then all is well the second time.
      guard case .strangers = error.problem else { throw error }
      try self.init(opening: path)
    }
  }

  private init(opening path: FilePath) throws {
    self.path = path
    let isDirectory = Directory.kind(of: path) == .directory
    let entries = isDirectory ? try Directory.names(in: path) : []
    if !entries.contains(where: { Self.rank(ofFile: $0) != nil }) { _ = try FoundSource(at: path, for: .engine) }  // says what it is
    let configPath = path.appending("config.json")
    do {
      configuration = try JSONValue(parsing: try ReadableFile.contents(of: configPath), allowsNonFinite: true)
    } catch let error as JSONError {
      throw EngineError(configPath, .invalidConfiguration(reason: "\(error). Copy the engine's directory again."))
    }
    guard let pretrainedJSON = configuration["pretrained_config"] else {
      throw EngineError(
        configPath, .invalidConfiguration(reason: "\"pretrained_config\" is missing. Is this an engine directory?"))
    }
    do {
      pretrained = try CheckpointConfig(parsing: pretrainedJSON)
    } catch {
      throw EngineError(configPath, .invalidConfiguration(reason: "\(error)"))
    }
    let worldSize = pretrained.mapping.worldSize
    var ranks: [EngineFile] = []
    let present = Set(entries)
    for rank in 0..<worldSize {
      guard present.contains(Self.fileName(rank: rank)) else {
        throw EngineError(path, .missingRank(rank, expected: worldSize))
      }
      let file = try EngineFile(path.appending(Self.fileName(rank: rank)))
      guard file.plan.rank == rank, file.plan.tensorParallel == pretrained.mapping.tensorParallel,
        file.plan.pipelineParallel == pretrained.mapping.pipelineParallel
      else {
        throw EngineError(file.path, .invalidPlan(reason: "it is of rank \(file.plan.rank) or another mapping"))
      }
      ranks.append(file)
    }
    try Self.checkAgreement(ranks, pretrained)
    self.ranks = ranks
    // A lineage that cannot be read proves nothing here; where it is needed, reading it throws.
    let strangers = EngineSeal.strangers(ranks, try? Lineage(directory: path))
    guard strangers.isEmpty else { throw EngineError(path, .strangers(strangers)) }
    auxiliaryFiles = entries.filter {
      Self.rank(ofFile: $0) == nil && $0 != "config.json" && $0 != Lineage.fileName && !AuxiliaryFile.staysBehind($0)
    }.sorted()
  }

  /// `rank{rank}.engine`.
  public static func fileName(rank: Int) -> String { "rank\(rank).engine" }

  /// The rank in `rank{r}.engine`, or nil.
  public static func rank(ofFile name: String) -> Int? { RankFile.number(name, ".engine") }
}
