import Digests
import Files
import JSON
import OrderedCollections
import Synchronization
public import SystemPackage
public import Threads
import WeightSources

/// Puts new weights into an engine without building it again: checks everything, then writes a whole new engine
/// directory that takes the target's name in one step.
///
/// ```swift
/// let engine = try EngineDirectory("engines/v1")
/// let source = try RefitSource("finetuned", for: engine)
/// let refitter = Refitter(engine: engine)
/// let prepared = try await refitter.prepare(source)  // throws RefitError with every problem there is
/// let run = refitter.start(prepared, from: source, to: "engines/v2")
/// for await progress in run.progress { print("\(progress.completed) of \(progress.total) bytes") }
/// let summary = try await run.summary
/// ```
///
/// ``RefitRun/cancel()``, or cancelling the task that waits, ends the work at the next tile; the target is then as it was.
public struct Refitter: Sendable {
  /// What a refit may do, and how.
  public struct Options: Sendable {
    /// Threads that make weights; each takes up to ``Refitter/workerByteCount``.
    public var workers = 1
    /// Keep the engine's frozen weights where the source's differ, instead of refusing.
    public var ignoresFrozen = false
    /// Every warning is an error; weights are made once for it before anything is written, to see NaN and infinity.
    public var isStrict = false
    /// Read the new engine back before it takes the target's name, and compare every weight with what the source gives.
    public var verifies = false
    /// Keep the engine's tokenizer, chat template and generation settings, whatever the source brings.
    public var keepsTokenizer = false
    /// Compute how far each weight moves (``RefitSummary/movements(in:)``).
    public var measures = false
    /// Ranks to write, where several processes share the work; nil: all. See ``Refitter/write(_:from:to:progress:)``.
    public var ranks: Set<Int>?
    /// Tells runs of several processes apart, such as a batch system's number of the job.
    public var runName = ""
    /// All weights that the source gives, and its files, with one thread; warnings are no errors.
    public init() {}
  }
  /// What was found, before anything is written.
  public struct Prepared: Sendable {
    var outcome: RefitCheck.Outcome
    var lineage: Lineage?
    var companions: EngineCompanions
    /// What becomes of tokenizer, chat template and generation settings.
    public var files: CompanionChanges { companions.changes }
    /// Weights, of the ranks that are written, that the engine has and that will be made anew.
    public var refitted: Int { outcome.refitted }
    /// Weights that the engine lacks and the source gives.
    public var filled: Int { outcome.filled }
    /// Weights that stay as they are.
    public var kept: Int { outcome.kept }
    /// Tensors of the source that no weight uses.
    public var ignored: Int { outcome.ignored }
    /// What may surprise and stops nothing, a line each; none where they are errors.
    public var warnings: [String] { outcome.warnings }
    /// Whether the source gives a weight that the engine does not let a refit change, whatever its values: without one,
    /// ``Options/ignoresFrozen`` makes no difference.
    public var givesFrozen: Bool { outcome.givesFrozen }
    /// Whether the source says anything of the files beside the weights, a whole model also by having none: otherwise
    /// ``Options/keepsTokenizer`` makes no difference.
    public let bringsFiles: Bool
    /// Bytes that will be written.
    public let byteCount: Int
  }

  /// What a worker's buffers take at most, for choosing ``Options/workers``: tiles before and after each step.
  public static let workerByteCount = 16 << 20

  /// The engine that is refitted; its files are only read.
  public var engine: EngineDirectory
  /// Read when a source is prepared, and again when it is written.
  public var options: Options

  /// Checks nothing; ``prepare(_:)`` does.
  public init(engine: EngineDirectory, options: Options = Options()) {
    self.engine = engine
    self.options = options
  }

  /// The ranks that this process writes.
  var ranks: [Int] { engine.ranks.indices.filter { options.ranks?.contains($0) ?? true } }

  /// - Throws: ``RefitError`` with every problem there is.
  public func prepare(_ source: RefitSource) async throws -> Prepared {
    let lineage = try Lineage(directory: engine.path)
    let companions = try EngineCompanions(engine: engine, source: source, lineage: lineage, keeps: options.keepsTokenizer)
    let check = RefitCheck(
      engine: engine, source: source, lineage: lineage, companions: companions, ignoresFrozen: options.ignoresFrozen, workers: options.workers,
      ranks: Set(ranks), isStrict: options.isStrict)
    let outcome = try await check.run()
    guard outcome.problems.isEmpty else { throw RefitError(problems: outcome.problems) }
    let bytes = ranks.reduce(0) { $0 + engine.ranks[$1].plan.weights.values.reduce(0) { $0 + $1.stored.byteCount } }
    let bringsFiles = source.companions.contains { $0.isModel || !$0.files.names.isEmpty }
    return Prepared(outcome: outcome, lineage: lineage, companions: companions, bringsFiles: bringsFiles, byteCount: bytes)
  }

  /// Writes the refitted engine to `target`, which may be the engine's own directory.
  ///
  /// Where ``Options/ranks`` names only some ranks, each of them is put, complete, into a directory beside the target,
  /// and the process that finds all of them there joins them and puts the result in place. Whatever order the
  /// processes run in and whichever of them dies, the target is the old engine, the new one, or absent.
  ///
  /// - Throws: ``VerificationError`` where ``Options/verifies`` is set and what was written is not what was meant.
  @discardableResult
  public func write(
    _ prepared: Prepared, from source: RefitSource, to target: FilePath, progress: ProgressCounter? = nil
  ) async throws -> RefitSummary {
    let sourceDigest = try SourceFingerprint.of(source.path)
    let ranks = ranks.map { rank in
      EngineWriter.Rank(
        plan: engine.ranks[rank].plan, planText: engine.ranks[rank].planText,
        dispositions: prepared.outcome.dispositions[rank], previous: engine.ranks[rank], source: source.weights,
        known: known(rank, prepared.lineage))
    }
    var lineage = try Lineage(refitFrom: source, sourceDigest: sourceDigest, parent: parent(prepared.lineage))
    lineage.files = prepared.companions.record
    var summary: RefitSummary
    let inputs = Self.inputs(source)
    if ranks.count < engine.ranks.count {
      lineage.job = try job(source, prepared.companions, sourceDigest: sourceDigest)
      let shares = RefitShares(refitter: self, target: target, inputs: inputs, lineage: lineage, companions: prepared.companions)
      summary = try await shares.write(ranks, progress: progress)
    } else {
      summary = try await write(
        ranks, inputs: inputs, to: target, progress: progress, lineage: lineage, companions: prepared.companions)
    }
    summary.ignored = prepared.ignored
    summary.warnings = RefitCheck.nonFiniteWarnings(summary.weights, as: engine.pretrained.elementType)
    return summary
  }

  /// Writes the engine without its refittable weights.
  ///
  /// - Throws: ``RefitError`` where a plan is not the one that the lineage was written for: the new lineage would vouch for it.
  @discardableResult
  public func strip(to target: FilePath, progress: ProgressCounter? = nil) async throws -> RefitSummary {
    let lineage = try Lineage(directory: engine.path)
    let edited = RefitCheck.editedFiles(of: engine, lineage)
    guard edited.isEmpty else { throw RefitError(problems: edited) }
    let ranks = engine.ranks.map { file in
      var dispositions: OrderedDictionary<String, Disposition> = [:]
      for (name, weight) in file.plan.weights {
        dispositions[name] = weight.isRefittable || !file.contains(name) ? .absent : .keep
      }
      return EngineWriter.Rank(
        plan: file.plan, planText: file.planText, dispositions: dispositions, previous: file,
        source: EngineWeights(engine.ranks), known: known(file.plan.rank, lineage))
    }
    let companions = try EngineCompanions(engine: engine, lineage: lineage)
    var stripped = Lineage(
      action: "strip", tool: Tool.name, created: Tool.timestamp(), sourceKind: "engine", sourcePath: Directory.absolute(engine.path).string,
      sourceDigest: try SourceFingerprint.of(engine.path), adapters: [], model: lineage?.model, parent: parent(lineage), ranks: [])
    stripped.files = companions.record
    return try await write(ranks, inputs: [], to: target, progress: progress, lineage: stripped, companions: companions)
  }

  private func parent(_ lineage: Lineage?) -> [String] { lineage?.ranks.map(\.root) ?? [] }

  /// Digests of another kind are of no use: what is kept is read and hashed again, so that equal engines stay equal files.
  private func known(_ rank: Int, _ lineage: Lineage?) -> OrderedDictionary<String, String> {
    guard lineage?.digestKind == .tree else { return [:] }
    return lineage?.ranks.first { $0.file == EngineDirectory.fileName(rank: rank) }?.weights ?? [:]
  }

  /// Equal for processes that do parts of one refit, and for no others: a digest of what is asked for, and one of the
  /// engine as it is.
  private func job(_ source: RefitSource, _ companions: EngineCompanions, sourceDigest: String) throws -> String {
    var asked = [sourceDigest, companions.fingerprint, "\(options.ignoresFrozen)", options.runName, SourceFingerprint.times(source.path)]
    if let base = source.basePath { asked += [try SourceFingerprint.of(base), SourceFingerprint.times(base)] }
    asked += source.adapters.map { "\($0.digest) \($0.scale)" }
    var engine = [try SourceFingerprint.of(engine.path)]
    if Directory.has(Lineage.fileName, in: self.engine.path) {
      engine.append(String(decoding: try ReadableFile.contents(of: self.engine.path.appending(Lineage.fileName)), as: UTF8.self))
    }
    func digest(_ lines: [String]) -> String { SHA256.hash(Array(lines.joined(separator: "\n").utf8)).hexadecimal }
    return digest(asked) + "." + digest(engine)
  }

  private func write(
    _ ranks: [EngineWriter.Rank], inputs: [FilePath], to target: FilePath, progress: ProgressCounter?, lineage: Lineage,
    companions: EngineCompanions
  ) async throws -> RefitSummary {
    let output = try begin(target, inputs: inputs, companions)
    do {
      // From here on no other run can write the target; one that did before now must not be undone unseen.
      if engine.isReplaced(by: target) { throw EngineError(engine.path, .replaced) }
      try companions.write(to: output, engine: engine)
      // Weights come from files that are open, these from their paths: they must still be of one engine.
      guard engine.isInPlace else { throw EngineError(engine.path, .replaced) }
      var (summary, digests) = try await writeRanks(ranks, to: output, progress: progress)
      var lineage = lineage
      if options.verifies {
        // All weights are made a second time for it: the place to hash every byte that the source gives.
        let source = ranks.first.map { HashedSource($0.source) }
        var again = ranks
        if let source { for index in again.indices { again[index].source = source } }
        summary.verifiedCount = try await verify(again, digests, in: output.path)
        lineage.sourceRead = source?.finish().map { Lineage.Read(digest: $0.digest, tensorCount: $0.tensorCount) }
      }
      lineage.ranks = digests
      try output.write(Lineage.fileName, text: lineage.json.serialized(indent: 2) + "\n")
      try Task.checkCancellation()  // until here nothing has changed
      try output.commit()
      return summary
    } catch {
      output.abandon()
      throw error
    }
  }

  private static func inputs(_ source: RefitSource) -> [FilePath] {
    [source.path] + (source.basePath.map { [$0] } ?? []) + source.adapters.map { FilePath($0.path) }
  }

  /// Whether a refit from `source` may be written to `target`, or a stripped engine where there is none; writes nothing.
  public func check(_ source: RefitSource?, to target: FilePath) throws {
    try OutputDirectory.check(
      target, as: .engine, notOverlapping: [engine.path] + (source.map(Self.inputs) ?? []), replaceable: engine.path)
  }

  /// The output, in which files of the model that the target holds and that are not written have no place.
  func begin(_ target: FilePath, inputs: [FilePath], _ companions: EngineCompanions) throws(FileError) -> OutputDirectory {
    let owned = companions.owned
    return try OutputDirectory.begin(target, as: .engine, notOverlapping: [engine.path] + inputs, replaceable: engine.path) {
      OutputDirectory.isCheckpointOrEngineFile($0) || owned.contains($0)
    }
  }

  func writeRanks(
    _ ranks: [EngineWriter.Rank], to output: OutputDirectory, progress: ProgressCounter?
  ) async throws -> (RefitSummary, [RankDigest]) {
    var writer = EngineWriter(workers: options.workers, progress: progress)
    writer.measures = options.measures
    let written = try await writer.write(ranks, to: output)
    try EngineSeal.write(written.digests, to: output)
    var summary = RefitSummary()
    summary.weights = written.weights
    return (summary, written.digests)
  }

  /// Reads written files again: their bytes against the digests taken while writing, and every weight that was made
  /// against what the source gives now.
  func verify(_ ranks: [EngineWriter.Rank], _ digests: [RankDigest], in directory: FilePath) async throws -> Int {
    let files = try ranks.map { try EngineFile(directory.appending(EngineDirectory.fileName(rank: $0.plan.rank))) }
    let result = try await EngineVerifier(workers: options.workers).verify(files, against: digests)
    var differences = result.differences.map(\.description)
    var jobs: [WeightJob] = []
    for (place, rank) in ranks.enumerated() {
      for (name, disposition) in rank.dispositions where disposition == .make {
        jobs.append(.make(name, of: rank.plan, place: place, from: rank.source))
      }
    }
    let differing = Mutex<Set<Int>>([])
    let made = jobs
    try await Jobs.run(jobs.indices.map { (jobs[$0].stored.byteCount, $0) }, workers: options.workers, makeWorker: { WeightMaker() }) { maker, index in
      if try !maker.agrees(made[index], with: files[made[index].place]) { differing.withLock { _ = $0.insert(index) } }
    }
    differences += differing.withLock { $0.sorted() }.map { "rank \(jobs[$0].rank): \(jobs[$0].name) is not what the source gives" }
    guard differences.isEmpty else { throw VerificationError(differences: differences) }
    return result.weightCount
  }
}

extension Directory {
  static func has(_ name: String, in path: FilePath) -> Bool { ((try? names(in: path)) ?? []).contains(name) }
}

extension Lineage {
  /// Of a refit, before anything is written.
  init(refitFrom source: RefitSource, sourceDigest: String, parent: [String]) throws {
    let base = try source.basePath.map {
      Base(kind: source.baseKind ?? "", path: Directory.absolute($0).string, digest: try SourceFingerprint.of($0))
    }
    let adapters = source.adapters.map { adapter in
      var adapter = adapter
      adapter.path = Directory.absolute(FilePath(adapter.path)).string
      return adapter
    }
    self.init(
      action: "refit", tool: Tool.name, created: Tool.timestamp(), sourceKind: source.kind, sourcePath: Directory.absolute(source.path).string,
      sourceDigest: sourceDigest, adapters: source.carried + adapters, base: base, model: source.model.all,
      parent: parent, ranks: [])
  }
}
