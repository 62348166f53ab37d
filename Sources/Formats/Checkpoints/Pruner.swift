import Files
import Safetensors
public import SystemPackage
import Threads

/// Makes a copy of a checkpoint in which some tensors have no values.
///
/// An emptied tensor keeps its name and element type and has shape `[0]`. Values that go are never read (unless
/// digests are asked for); values that stay are copied by the kernel, not through this process. Memory is a constant
/// and the headers, whatever the checkpoint's size.
public struct Pruner: Sendable {
  /// What to take out, and what to record of it.
  public struct Options: Sendable {
    /// Which tensors are emptied; by default the weights of attention and MLP.
    public var selection = PruneSelection()
    /// Record in every rank file what is needed to prove and restore the original; see ``SkeletonVerifier``.
    public var skeleton = false
    /// Record a SHA-256 of every tensor, too. Implies `skeleton`. Reads everything.
    public var digests = false
    /// Threads that copy and hash.
    public var workers = Parallel.defaultWorkers
    /// Weights of attention and MLP go, and nothing is recorded.
    public init() {}
  }

  /// What is copied; not changed.
  public let checkpoint: CheckpointDirectory
  /// As they were given; `digests` alone makes a skeleton, too.
  public let options: Options
  /// What is odd about the input, though it does not stop anything.
  public let warnings: [String]
  private let plans: [PrunePlan]
  private let isPruned: Bool

  /// Reads headers and decides. Writes nothing.
  ///
  /// - Throws: ``CheckpointError``
  public init(_ checkpoint: CheckpointDirectory, options: Options) throws(CheckpointError) {
    self.checkpoint = checkpoint
    self.options = options
    isPruned = try FieldReader(checkpoint.json, path: checkpoint.path.appending("config.json")).bool("is_pruned") ?? false
    var plans: [PrunePlan] = []
    for rank in checkpoint.ranks {
      plans.append(
        try PrunePlan(
          rank, selection: options.selection, recordsShapes: options.skeleton || options.digests, isPruned: isPruned))
    }
    self.plans = plans
    warnings = Self.warnings(checkpoint, options, plans)
  }

  private static func warnings(_ checkpoint: CheckpointDirectory, _ options: Options, _ plans: [PrunePlan]) -> [String] {
    var warnings: [String] = []
    let architecture = checkpoint.json["architecture"]?.string
    if architecture.map({ !Architecture.known.contains($0) }) ?? true {
      warnings.append(
        "the architecture \(architecture.map { "'\($0)'" } ?? "(none)") is not known. Weights are chosen by name alone; check the list with --dry_run.")
    }
    let names = Set(plans.flatMap(\.source.names))
    for (flag, globs) in [("--keep", options.selection.keep), ("--prune", options.selection.prune)] {
      for glob in globs where !names.contains(where: { glob.matches($0) }) {
        warnings.append("\(flag) '\(glob.pattern)' matches no tensor.")
      }
    }
    let all = plans.flatMap(\.source.header.entries)
    let empty = all.count { $0.description.shape == [0] }
    let isMarked = checkpoint.json["is_pruned"]?.bool == true
    if isMarked || empty > 0 {
      let isSkeleton = plans.contains { $0.wasSkeleton }
      warnings.append(
        "the checkpoint is pruned already (\(isMarked ? "config.json says is_pruned" : "config.json does not say so"), "
          + "\(empty) of \(all.count) tensors are empty\(isSkeleton ? ", and it is a skeleton" : "")): only what is left can be taken out.")
    }
    if plans.allSatisfy({ plan in !plan.source.names.contains { options.selection.selects($0) } }) {
      warnings.append("no tensor was chosen: nothing is removed.")
    }
    for name in checkpoint.surplusFiles { warnings.append("\(name) is not used by the mapping and is left out.") }
    for name in checkpoint.directories { warnings.append("the directory '\(name)' is left out.") }
    return warnings
  }

  /// What would go, and what that saves.
  public var report: PruneReport {
    PruneReport(
      ranks: plans.map { plan in
        .init(
          file: plan.name, tensorCount: plan.source.header.entries.count,
          emptied: plan.emptied.map { .init(name: $0.name, description: $0.description) },
          bytesBefore: plan.source.file.byteCount, bytesAfter: plan.byteCountAfter, rootDigest: plan.notes?.root)
      }, warnings: warnings)
  }

  /// Bytes that ``run(to:progress:)`` will report as progress.
  public var workByteCount: Int {
    plans.reduce(0) { sum, plan in
      sum + plan.keptByteCount + (needsDigests(plan) ? plan.source.header.dataByteCount : 0)
    }
  }

  private func needsDigests(_ plan: PrunePlan) -> Bool {
    options.digests && plan.notes?.digests == nil
  }

  /// Whether the pruned checkpoint may be written to `target`; writes nothing.
  public func check(_ target: FilePath) throws {
    try OutputDirectory.check(target, as: .prunedCheckpoint, notOverlapping: [checkpoint.path])
  }

  /// Writes the pruned checkpoint; it appears under its name complete or not at all.
  ///
  /// - Parameters:
  ///   - target: Must not overlap the checkpoint.
  ///   - progress: Bytes done since the last call; called from any thread.
  public func run(to target: FilePath, progress: @escaping @Sendable (Int) -> Void = { _ in }) throws -> PruneReport {
    let output = try OutputDirectory.begin(target, as: .prunedCheckpoint, notOverlapping: [checkpoint.path])
    defer { output.abandon() }
    let plans = try recordDigests(progress)
    var report = report
    for (index, plan) in plans.enumerated() { report.ranks[index].update(plan) }

    // Header first, then ranges of at most 256 MiB, so that one large file keeps all workers busy.
    var pieces: [CopyPiece] = []
    var files: [WritableFile] = []
    for plan in plans {
      let file = try output.createFile(plan.name)
      files.append(file)
      guard let header = plan.header else {
        pieces += CopyPiece.split(plan.source.file, 0..<plan.source.file.byteCount, to: file, at: 0)
        continue
      }
      _ = try SafetensorsWriter(file: file, header: header)
      var place = header.dataStart
      for range in plan.kept {
        let start = plan.source.header.dataStart
        pieces += CopyPiece.split(plan.source.file, start + range.lowerBound..<start + range.upperBound, to: file, at: place)
        place += range.count
      }
    }
    try CopyPiece.copy(pieces, workers: options.workers, progress)
    let written = files
    try Parallel.forEach(written.count, workers: options.workers) { try written[$0].close() }
    try output.write("config.json", bytes: try ConfigText.markedPruned(checkpoint.configText))
    for name in checkpoint.auxiliaryFiles { try output.copyFile(from: checkpoint.path.appending(name), name: name) }
    try output.commit()
    return report
  }

  private func recordDigests(_ progress: @escaping @Sendable (Int) -> Void) throws -> [PrunePlan] {
    guard options.digests else { return plans }
    var plans = plans
    let wanted = plans.indices.filter { needsDigests(plans[$0]) }
    for index in wanted where !plans[index].notesCover {
      throw CheckpointError(
        plans[index].source.path,
        .refused(reason: "its values are partly gone, so their digests cannot be taken. Make the skeleton from the full checkpoint."))
    }
    let digests = try DigestTable.digests(
      of: wanted.map { plans[$0].source }, workers: options.workers, progress: progress)
    for (place, index) in wanted.enumerated() { try plans[index].record(digests: digests[place]) }
    return plans
  }
}
