public import ArgumentParser
import CPUBackend
import Files
import Engines
import JSON
import SystemPackage

/// `trtllm-refit`
public struct RefitCommand: DrydockCommand {
  public static let configuration = CommandConfiguration(
    commandName: "trtllm-refit",
    abstract: "Put new weights into an engine without building it again.",
    discussion: """
      Phases: load engine, load checkpoint, preprocess weights (every check), refit and save. The new weights can be a \
      TensorRT-LLM checkpoint, a Hugging Face directory, a GGUF file, another engine of the same plan, or a LoRA adapter \
      (PEFT directory), whose base weights come out of the engine itself. Every problem is found and reported before \
      anything is written; the output directory appears complete or not at all, and may be the engine's own.

      Examples:
        trtllm-refit --engine_dir ./engines/v1 --checkpoint_dir ./finetuned --refit_engine_dir ./engines/v2
        trtllm-refit --engine_dir ./engines/v1 --checkpoint_dir ./my-lora --refit_engine_dir ./engines/lora
        trtllm-refit --engine_dir ./engines/v1 --strip --refit_engine_dir ./engines/v1-stripped
        trtllm-refit --verify_engine ./engines/v2
        mpirun -n 4 trtllm-refit --engine_dir ./engines/tp4 --checkpoint_dir ./tuned --refit_engine_dir ./engines/tp4-tuned
      """)

  @Option(name: .customLong("engine_dir"), help: ArgumentHelp("The engine: config.json and rank*.engine.", valueName: "dir"))
  var engineDirectory: String?

  @Option(name: .customLong("checkpoint_dir"), help: ArgumentHelp("Where the new weights are.", valueName: "path"))
  var checkpoint: String?

  @Option(
    name: [.customLong("refit_engine_dir"), .customLong("output_dir")],
    help: ArgumentHelp("Where the refitted engine goes.", valueName: "dir"))
  var outputDirectory: String?

  @Option(
    name: .customLong("base_checkpoint_dir"),
    help: ArgumentHelp("Base weights for an adapter, where the engine's own will not do.", valueName: "path"))
  var baseCheckpoint: String?

  @Option(
    name: .customLong("lora_dir"),
    help: ArgumentHelp("A LoRA adapter on top of the weights; repeatable.", valueName: "dir"))
  var adapters: [String] = []

  @Option(name: .customLong("lora_scale"), help: ArgumentHelp("Multiplies what adapters change.", valueName: "x"))
  var loraScale: Double = 1

  @Flag(name: .customLong("ignore_frozen"), help: "Keep the engine's embedding table where the new weights have another.")
  var ignoresFrozen = false

  @Flag(help: "Write the engine without its refittable weights; needs no checkpoint.")
  var strip = false

  @Option(help: ArgumentHelp("Threads; as many as there are cores by default.", valueName: "n"))
  var workers: Int?

  @Flag(name: .customLong("dry_run"), help: "Check everything, say what would be done, and write nothing.")
  var dryRun = false

  @Option(
    name: .customLong("rank"),
    help: ArgumentHelp(
      "Write this rank only; repeatable. The output appears when all ranks are there, whichever processes wrote them. "
        + "Started by mpirun or srun, each process takes its share by itself.", valueName: "rank"))
  var ranks: [Int] = []

  @Flag(help: "Read the new engine back before it is put in place, and compare every weight with what the source gives.")
  var verify = false

  @Option(
    name: .customLong("verify_engine"),
    help: ArgumentHelp("Check an engine against its own lineage.json, and do nothing else.", valueName: "dir"))
  var verifiedEngine: String?

  @Flag(help: "Make every warning an error; values are looked at before anything is written.")
  var strict = false

  @Flag(help: "Print a report as JSON on standard output.")
  var json = false

  @Option(
    help: ArgumentHelp("Write a page that shows how far every weight moved.", valueName: "file.html"))
  var report: String?

  @OptionGroup var logOptions: LogOptions

  public init() {}

  public func validate() throws {
    if let workers, workers < 1 { throw ValidationError("--workers is \(workers); it must be at least 1") }
    guard loraScale.isFinite else { throw ValidationError("--lora_scale is \(loraScale); it must be a finite number") }
    if verifiedEngine != nil {
      guard engineDirectory == nil, checkpoint == nil, outputDirectory == nil, adapters.isEmpty, !strip else {
        throw ValidationError("--verify_engine checks one engine and takes no other directories")
      }
      return
    }
    guard engineDirectory != nil else { throw ValidationError("Missing expected argument '--engine_dir <dir>'") }
    guard outputDirectory != nil else { throw ValidationError("Missing expected argument '--refit_engine_dir <dir>'") }
    if strip {
      guard checkpoint == nil, adapters.isEmpty else { throw ValidationError("--strip takes no new weights: leave --checkpoint_dir out") }
      guard ranks.isEmpty, report == nil else { throw ValidationError("--strip takes neither --rank nor --report") }
    } else if checkpoint == nil && adapters.isEmpty {
      throw ValidationError("Missing expected argument '--checkpoint_dir <path>'")
    }
  }

  public func run() async throws {
    let log = logOptions.log("trtllm-refit")
    if let verifiedEngine { return try await check(FilePath(verifiedEngine), log) }
    do {
      try await refit(log)
    } catch let error as RefitError {
      if json { Terminal.write(RefitReport.refusal(error).serialized(indent: 2) + "\n") }
      throw error
    }
  }

  private func check(_ path: FilePath, _ log: CommandLog) async throws {
    let result = try await EngineVerifier(workers: workers ?? Processors.count).verify(try EngineDirectory(path))
    if json {
      let answer: JSONValue = [
        "status": result.differences.isEmpty ? "verified" : "different", "engine": .string(path.string),
        "weights": .int(result.weightCount), "bytes": .int(result.byteCount),
        "differences": .strings(result.differences.map(\.description)),
      ]
      Terminal.write(answer.serialized(indent: 2) + "\n")
    }
    guard result.differences.isEmpty else {
      throw EngineError(
        path, .source(reason: "the engine is not what was written (\(result.differences.count) difference(s)):\n  "
          + result.differences.map(\.description).joined(separator: "\n  ") + "\nCopy it again, or build or refit it again."))
    }
    log.info("verified \(path): \(result.weightCount) weight(s), \(Format.bytes(result.byteCount)), all as written")
  }

  private func refit(_ log: CommandLog) async throws {
    let (engineDirectory, outputDirectory) = (engineDirectory ?? "", outputDirectory ?? "")
    var phases = Phases()
    try OutputDirectory.recover(FilePath(engineDirectory))
    let engine = try await phases.measure("load engine") { try EngineDirectory(FilePath(engineDirectory)) }
    var options = Refitter.Options()
    options.workers = workers ?? Processors.count
    options.ignoresFrozen = ignoresFrozen
    options.isStrict = strict
    options.verifies = verify
    options.measures = report != nil
    guard try chooseRanks(engine, &options, log) else { return }
    let refitter = Refitter(engine: engine, options: options)
    let target = FilePath(outputDirectory)
    if strip {
      if dryRun { return log.info("would strip \(engineDirectory) into \(outputDirectory); nothing was written") }
      _ = try await phases.measure("save") { try await refitter.strip(to: target) }
      return log.info("stripped \(engineDirectory) into \(outputDirectory) in \(Format.time(phases.total))")
    }
    let source = try await phases.measure("load checkpoint") { () throws -> RefitSource in
      var opening = RefitSource.OpeningOptions()
      opening.basePath = baseCheckpoint.map { FilePath($0) }
      opening.loraScale = loraScale
      var paths = adapters.map { FilePath($0) }
      let path = checkpoint.map { FilePath($0) } ?? paths.removeFirst()
      opening.adapters = paths
      return try RefitSource(path, for: engine, options: opening)
    }
    let prepared = try await phases.measure("preprocess weights") { try await refitter.prepare(source) }
    for warning in prepared.warnings { log.warning(warning) }
    if dryRun {
      let counts = "\(prepared.refitted) weight(s) to refit, \(prepared.filled) to fill, \(prepared.kept) kept, \(prepared.ignored) ignored"
      log.info("would write \(outputDirectory): \(counts), \(Format.bytes(prepared.byteCount)); nothing was written")
      if json {
        let plan: JSONValue = [
          "status": "planned", "engine": .string(engineDirectory), "output": .string(outputDirectory),
          "weights": ["refit": .int(prepared.refitted), "fill": .int(prepared.filled), "kept": .int(prepared.kept), "ignored": .int(prepared.ignored)],
          "bytes": ["all": .int(prepared.byteCount)], "warnings": .strings(prepared.warnings),
        ]
        Terminal.write(plan.serialized(indent: 2) + "\n")
      }
      return
    }
    let progress = ProgressCounter(total: prepared.byteCount)
    let summary = try await phases.measure("refit and save") {
      try await ProgressLine.show("refitting", progress) {
        try await refitter.write(prepared, from: source, to: target, progress: progress)
      }
    }
    for warning in summary.warnings { log.warning(warning) }
    var outcome = RefitReport(
      engine: engineDirectory, output: outputDirectory, source: source.path.string, phases: phases, summary: summary,
      warnings: prepared.warnings + summary.warnings, writing: phases.list.last?.time ?? .zero)
    if json || logOptions.level >= .verbose, summary.pendingRanks.isEmpty, let rank = summary.weights.first?.rank {
      outcome.copyRate = CopyRate.measure(like: target.appending(EngineDirectory.fileName(rank: rank)), beside: target)
    }
    log.verbose(phases.description)
    log.info(outcome.line)
    if let report {
      let page = RefitPage(
        title: "Refit of \(engineDirectory) with \(source.path.string)", summary: outcome.line, rows: summary.movements(in: engine))
      try AtomicFile.write(FilePath(report), bytes: Array(page.html.utf8))
    }
    if json { Terminal.write(outcome.json.serialized(indent: 2) + "\n") }
  }

  /// Takes `--rank`, or this process's share of the ranks where a launcher started several.
  ///
  /// - Returns: Whether there is anything to do.
  private func chooseRanks(_ engine: EngineDirectory, _ options: inout Refitter.Options, _ log: CommandLog) throws -> Bool {
    let count = engine.ranks.count
    if let wrong = ranks.first(where: { !(0..<count).contains($0) }) {
      throw UsageError("--rank is \(wrong); the engine has the ranks 0 to \(count - 1)")
    }
    if !ranks.isEmpty {
      options.ranks = Set(ranks)
    } else if !strip, !dryRun, let launched = LaunchedRank(environment: { Environment[$0] }) {
      let share = launched.share(of: count)
      options.ranks = Set(share)
      options.runName = launched.runName
      guard !share.isEmpty else {
        log.info("process \(launched.rank) of \(launched.size): the engine has only \(count) rank(s), nothing to do")
        return false
      }
      log.verbose("process \(launched.rank) of \(launched.size) writes rank(s) \(share.map(String.init).joined(separator: ", "))")
    }
    return true
  }
}
