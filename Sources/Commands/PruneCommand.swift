public import ArgumentParser
import Checkpoints
import Engines
import Files
import JSON
import OrderedCollections
import Synchronization
import SystemPackage
import Threads
import WeightSources

/// `trtllm-prune`
public struct PruneCommand: DrydockCommand {
  public static let configuration = CommandConfiguration(
    commandName: "trtllm-prune",
    abstract: "Take weights out of a TensorRT-LLM checkpoint, or prove and restore what was taken out.",
    usage: "trtllm-prune --checkpoint_dir <dir> [<options>]",
    discussion: """
      Writes a checkpoint of the same structure whose prunable weights are empty: the QKV and output projections of \
      attention and the fc, gate and proj of the MLP, or everything with --prune_all. Biases and scales stay. \
      config.json keeps every byte and gains "is_pruned": true; other files are carried along. The output appears \
      complete or not at all.

      Examples:
        trtllm-prune --checkpoint_dir ./llama --out_dir ./llama-pruned
        trtllm-prune --checkpoint_dir ./llama --out_dir ./llama-skeleton \\
          --prune_all --digests
        trtllm-prune --verify ./llama-skeleton --checkpoint_dir ./download
        trtllm-prune --restore ./llama-skeleton --checkpoint_dir ./download \\
          --out_dir ./llama-again

      Exit codes: 0 done, 1 failed (a path that does not exist, too) or not the
      skeleton's checkpoint, 2 wrong usage.
      """,
    version: Tool.name)

  @Option(
    name: .customLong("checkpoint_dir"),
    help: ArgumentHelp("The checkpoint: config.json and rank*.safetensors.", valueName: "dir"))
  var checkpointDirectory: String

  @Option(
    name: .customLong("out_dir"),
    help: ArgumentHelp("Where the result goes; <checkpoint_dir>.pruned by default.", valueName: "dir"))
  var outputDirectory: String?

  @Flag(name: .customLong("prune_all"), help: "Empty every tensor, not only the prunable weights.")
  var pruneAll = false

  @Option(
    name: .customLong("prune"),
    help: ArgumentHelp("Also empty tensors whose whole name matches, such as '*.router.weight'; repeatable.", valueName: "pattern"))
  var prune: [String] = []

  @Option(
    name: .customLong("keep"),
    help: ArgumentHelp("Keep tensors whose whole name matches, whatever else chooses them; repeatable.", valueName: "pattern"))
  var keep: [String] = []

  @Flag(help: "Record the shape of every emptied tensor, so that the original can be recognised and restored.")
  var skeleton = false

  @Flag(help: "Make a skeleton that also records a SHA-256 of every tensor; reads all of them.")
  var digests = false

  @Option(
    name: .customLong("verify"),
    help: ArgumentHelp("Say whether --checkpoint_dir is what this skeleton was made from.", valueName: "skeleton"))
  var verify: String?

  @Option(
    name: .customLong("restore"),
    help: ArgumentHelp("Rebuild what this skeleton was made from, with weights from --checkpoint_dir.", valueName: "skeleton"))
  var restore: String?

  @Flag(name: .customLong("dry_run"), help: "Say what would go and what that saves; write nothing.")
  var dryRun = false

  @Flag(help: "Print a report for programs on standard output.")
  var json = false

  @Option(help: ArgumentHelp("Threads that copy; as many as there are cores by default.", valueName: "n"))
  var workers: Int?

  @OptionGroup var logOptions: LogOptions

  /// For ArgumentParser, which fills the options.
  public init() {}

  public static func missing(beside given: Set<String>) -> [String] {
    given.contains("--restore") && given.isDisjoint(with: ["--out_dir", "--verify"]) ? ["--out_dir <dir>, which --restore writes"] : []
  }

  public func validate() throws {
    var problems: [String] = []
    if let workers, !(1...1024).contains(workers) { problems.append("--workers is \(workers); it must be from 1 to 1024") }
    if verify != nil && restore != nil { problems.append("--verify and --restore exclude each other") }
    if pruneAll, !prune.isEmpty {
      problems.append("--prune has no effect beside --prune_all, which empties every tensor but those of --keep: leave it out")
    }
    guard verify != nil || restore != nil else { return try refuse(problems) }
    let mode = verify != nil ? "--verify" : "--restore"
    if pruneAll || !prune.isEmpty || !keep.isEmpty || skeleton || digests {
      problems.append("\(mode) takes nothing out: leave --prune_all, --prune, --keep, --skeleton and --digests out")
    }
    if verify != nil && outputDirectory != nil { problems.append("--verify writes nothing: leave --out_dir out") }
    if dryRun { problems.append("\(mode) has no dry run: leave --dry_run out") }
    try refuse(problems)
  }

  public func run() async throws {
    let checkpoint = try Self.open(checkpointDirectory)
    if let verify {
      try await runVerify(Skeleton(Self.open(verify)), against: checkpoint)
    } else if let restore {
      try await runRestore(Skeleton(Self.open(restore)), from: checkpoint)
    } else {
      try await runPrune(checkpoint)
    }
  }

  private static func open(_ path: String) throws -> CheckpointDirectory {
    try CheckpointDirectory(FoundSource(at: FilePath(path), for: .checkpoint).path)
  }

  private var log: CommandLog { logOptions.log("trtllm-prune") }

  // MARK: prune

  private func runPrune(_ checkpoint: CheckpointDirectory) async throws {
    var options = Pruner.Options()
    options.selection = PruneSelection(all: pruneAll, prune: prune.map { Glob($0) }, keep: keep.map { Glob($0) })
    options.skeleton = skeleton
    options.digests = digests
    options.workers = workers ?? Parallel.defaultWorkers
    let pruner = try Pruner(checkpoint, options: options)
    for warning in pruner.warnings { log.warning(warning) }
    let target = try outputDirectory.map { FilePath($0) } ?? Self.defaultOutput(FilePath(checkpointDirectory))
    if dryRun {
      try pruner.check(target)
      let report = pruner.report
      if json { return print(report, to: target, time: nil) }
      for (pattern, count, bytes) in report.summary { Terminal.write("\(pattern)  ×\(count)  \(Format.bytes(bytes))\n") }
      return log.info("would write \(target): \(Self.summary(report)); nothing was written")
    }
    let (report, time) = try await timed("pruning", pruner.workByteCount) { progress in
      try pruner.run(to: target, progress: progress)
    }
    if json { print(report, to: target, time: time) }
    log.info("pruned \(checkpointDirectory) into \(target): \(Self.summary(report)) in \(Format.time(time))")
  }

  private func print(_ report: PruneReport, to target: FilePath, time: Duration?) {
    var members: JSONObject = [
      "checkpoint_dir": .string(checkpointDirectory), "out_dir": .string(target.string), "dry_run": .bool(time == nil),
    ]
    if let time { members["seconds"] = .double(Format.roundedSeconds(time)) }
    members.merge(report.json) { first, _ in first }
    Terminal.write(JSONValue.object(members).serialized(indent: 2) + "\n")
  }

  private static func summary(_ report: PruneReport) -> String {
    let saved = report.bytesBefore - report.bytesAfter
    let percent = report.bytesBefore > 0 ? Format.fixed(100 * Double(saved) / Double(report.bytesBefore), 1) : "0"
    return "\(report.emptiedCount) of \(report.ranks.reduce(0) { $0 + $1.tensorCount }) tensors emptied, "
      + "\(Format.bytes(report.bytesBefore)) → \(Format.bytes(report.bytesAfter)) (\(percent)% smaller)"
  }

  /// Upstream's: beside the checkpoint, with `.pruned` added to its name.
  static func defaultOutput(_ checkpoint: FilePath) throws(FileError) -> FilePath {
    var path = checkpoint
    if path.lastComponent?.kind != .regular { path = try Directory.resolve(path) }
    guard let name = path.lastComponent else {
      throw FileError(checkpoint, .refused(reason: "has no name to add '.pruned' to. Give --out_dir."))
    }
    return path.removingLastComponent().appending(name.string + ".pruned")
  }

  // MARK: prove and restore

  private func runVerify(_ skeleton: Skeleton, against full: CheckpointDirectory) async throws {
    var verifier = SkeletonVerifier(skeleton, against: full)
    verifier.workers = workers ?? Parallel.defaultWorkers
    let ready = verifier
    let (outcome, time) = try await timed("verifying", verifier.workByteCount) { try ready.run(progress: $0) }
    let isSame = outcome.differences.isEmpty
    if json {
      let members: JSONObject = [
        "skeleton": .string(skeleton.checkpoint.path.string), "checkpoint_dir": .string(checkpointDirectory),
        "matches": .bool(isSame), "values_compared": .int(outcome.comparedCount),
        "shapes_only": .int(outcome.unprovedCount), "differences": .array(outcome.differences.map(\.json)),
        "seconds": .double(Format.roundedSeconds(time)),
      ]
      Terminal.write(JSONValue.object(members).serialized(indent: 2) + "\n")
    } else {
      for difference in outcome.differences { Terminal.write("\(difference)\n") }
    }
    guard isSame else {
      CommandRunner.printError(
        "trtllm-prune: error: \(checkpointDirectory) is not the checkpoint that \(skeleton.checkpoint.path) was made from: "
          + "\(outcome.differences.count) difference(s).")
      throw ExitCode(1)
    }
    let doubt =
      outcome.unprovedCount == 0
      ? ""
      : "; of \(outcome.unprovedCount) emptied tensors only type and shape could be compared (skeletons made with --digests prove values)"
    log.info(
      "\(checkpointDirectory) is the checkpoint that \(skeleton.checkpoint.path) was made from: "
        + "\(outcome.comparedCount) tensors compared by value\(doubt), in \(Format.time(time))")
  }

  private func runRestore(_ skeleton: Skeleton, from full: CheckpointDirectory) async throws {
    var restorer = try SkeletonRestorer(skeleton, from: full)
    restorer.workers = workers ?? Parallel.defaultWorkers
    let target = FilePath(outputDirectory ?? "")
    if !skeleton.hasDigests {
      log.warning("the skeleton was made without --digests: that the weights are the original's cannot be proved, only their shapes.")
    }
    let ready = restorer
    let (_, time) = try await timed("restoring", restorer.workByteCount) { try ready.run(to: target, progress: $0) }
    if json {
      let members: JSONObject = [
        "skeleton": .string(skeleton.checkpoint.path.string), "checkpoint_dir": .string(checkpointDirectory),
        "out_dir": .string(target.string), "proved": .bool(skeleton.hasDigests), "seconds": .double(Format.roundedSeconds(time)),
      ]
      Terminal.write(JSONValue.object(members).serialized(indent: 2) + "\n")
    }
    log.info("restored \(target) from \(skeleton.checkpoint.path) and \(checkpointDirectory) in \(Format.time(time))")
  }

  /// Runs work that counts bytes, with a progress line on a terminal.
  private func timed<Result: Sendable>(
    _ label: String, _ total: Int, _ work: @escaping @Sendable (@escaping @Sendable (Int) -> Void) throws -> Result
  ) async throws -> (Result, Duration) {
    let counter = ProgressCounter(total: total)
    let done = Tally()
    let clock = ContinuousClock()
    let start = clock.now
    let result = try await ProgressLine.show(label, counter) {
      try work { counter.report(done.add($0), of: total) }
    }
    return (result, clock.now - start)
  }
}

/// A sum that many threads add to.
private final class Tally: Sendable {
  private let sum = Atomic(0)
  func add(_ count: Int) -> Int { sum.wrappingAdd(count, ordering: .relaxed).newValue }
}
