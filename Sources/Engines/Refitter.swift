import Files
import JSON
import OrderedCollections
public import SystemPackage
import WeightSources

/// Puts new weights into an engine without building it again: checks everything, then writes a whole new engine
/// directory that takes the target's name in one step.
public struct Refitter: Sendable {
  public struct Options: Sendable {
    public var workers = 1
    /// Keep the engine's frozen weights where the source's differ, instead of refusing.
    public var ignoresFrozen = false
    public init() {}
  }
  /// What was found, before anything is written.
  public struct Prepared: Sendable {
    var outcome: RefitCheck.Outcome
    var lineage: Lineage?
    public var refitted: Int { outcome.refitted }
    public var filled: Int { outcome.filled }
    public var kept: Int { outcome.kept }
    public var warnings: [String] { outcome.warnings }
    /// Bytes that will be written.
    public let byteCount: Int
  }

  public var engine: EngineDirectory
  public var options: Options

  public init(engine: EngineDirectory, options: Options = Options()) {
    self.engine = engine
    self.options = options
  }

  /// - Throws: ``RefitError`` with every problem there is.
  public func prepare(_ source: RefitSource) async throws -> Prepared {
    let lineage = try Lineage(directory: engine.path)
    let check = RefitCheck(
      engine: engine, source: source, lineage: lineage, ignoresFrozen: options.ignoresFrozen, workers: options.workers)
    let outcome = try await check.run()
    guard outcome.problems.isEmpty else { throw RefitError(problems: outcome.problems) }
    let bytes = engine.ranks.reduce(0) { $0 + $1.plan.weights.values.reduce(0) { $0 + $1.stored.byteCount } }
    return Prepared(outcome: outcome, lineage: lineage, byteCount: bytes)
  }

  /// Writes the refitted engine to `target`, which may be the engine's own directory.
  public func write(
    _ prepared: Prepared, from source: RefitSource, to target: FilePath, progress: ProgressCounter? = nil
  ) async throws {
    let ranks = engine.ranks.indices.map { rank in
      EngineWriter.Rank(
        plan: engine.ranks[rank].plan, planText: engine.ranks[rank].planText,
        dispositions: prepared.outcome.dispositions[rank], previous: engine.ranks[rank], source: source.weights)
    }
    try await write(
      ranks, action: "refit", inputs: [source.path], to: target, progress: progress
    ) { digests in
      Lineage(
        action: "refit", tool: Tool.name, created: Tool.timestamp(), sourceKind: source.kind,
        sourcePath: source.path.string, adapters: source.adapters, parent: parent(prepared.lineage), ranks: digests)
    }
  }

  /// Writes the engine without its refittable weights.
  public func strip(to target: FilePath, progress: ProgressCounter? = nil) async throws {
    let lineage = try Lineage(directory: engine.path)
    let ranks = engine.ranks.map { file in
      var dispositions: OrderedDictionary<String, Disposition> = [:]
      for (name, weight) in file.plan.weights {
        dispositions[name] = weight.isRefittable || !file.contains(name) ? .absent : .keep
      }
      return EngineWriter.Rank(
        plan: file.plan, planText: file.planText, dispositions: dispositions, previous: file,
        source: EngineWeights(engine.ranks))
    }
    try await write(ranks, action: "strip", inputs: [], to: target, progress: progress) { digests in
      Lineage(
        action: "strip", tool: Tool.name, created: Tool.timestamp(), sourceKind: "engine",
        sourcePath: engine.path.string, adapters: [], parent: parent(lineage), ranks: digests)
    }
  }

  private func parent(_ lineage: Lineage?) -> [String] { lineage?.ranks.map(\.root) ?? [] }

  private func write(
    _ ranks: [EngineWriter.Rank], action: String, inputs: [FilePath], to target: FilePath,
    progress: ProgressCounter?, lineage: ([RankDigest]) -> Lineage
  ) async throws {
    let output = try OutputDirectory.begin(target, notOverlapping: [engine.path] + inputs, inPlace: true)
    do {
      for name in engine.auxiliaryFiles + ["config.json"] {
        try output.copyFile(from: engine.path.appending(name), name: name)
      }
      let writer = EngineWriter(workers: options.workers, progress: progress)
      let digests = try await writer.write(ranks, to: output)
      try output.write(Lineage.fileName, text: lineage(digests).json.serialized(indent: 2) + "\n")
      try output.commit()
    } catch {
      output.abandon()
      throw error
    }
  }
}
