public import ArgumentParser
import Engines
import Files
import JSON
import SystemPackage
import Tensors
import Threads
import WeightSources

/// `trtllm-refit`
public struct RefitCommand: DrydockCommand {
  public static let configuration = CommandConfiguration(
    commandName: "trtllm-refit",
    abstract: "Put new weights into an engine without building it again.",
    usage: """
      trtllm-refit --engine_dir <dir> --checkpoint_dir <path> --refit_engine_dir <dir> [<options>]
      trtllm-refit --engine_dir <dir> (--lora_dir <path> | --strip) --refit_engine_dir <dir> [<options>]
      """,
    discussion: """
      Phases: load engine, load checkpoint, preprocess weights (every check), refit and save. The new weights can be a \
      TensorRT-LLM checkpoint, a Hugging Face directory, a GGUF file, another engine of the same plan, or a LoRA adapter \
      (a PEFT directory, or a GGUF file made by llama.cpp's convert_lora_to_gguf.py), whose base weights come out of the \
      engine itself. Every problem is found and reported before anything is written; the output directory appears \
      complete or not at all, and may be the engine's own.

      Examples:
        trtllm-refit --engine_dir ./engines/v1 --checkpoint_dir ./finetuned \\
          --refit_engine_dir ./engines/v2
        trtllm-refit --engine_dir ./engines/v1 --lora_dir ./my-lora \\
          --refit_engine_dir ./engines/lora
        trtllm-refit --engine_dir ./engines/v1 --strip \\
          --refit_engine_dir ./engines/v1-stripped
        trtllm-refit --verify_engine ./engines/v2
        mpirun -n 4 trtllm-refit --engine_dir ./engines/tp4 \\
          --checkpoint_dir ./tuned --refit_engine_dir ./engines/tp4-tuned

      Exit codes: 0 done, 1 failed (a path that does not exist, too), 2 wrong usage.
      """,
    version: Tool.name)

  @Option(name: .customLong("engine_dir"), help: ArgumentHelp("The engine: config.json and rank*.engine.", valueName: "dir"))
  var engineDirectory: String?

  @Option(name: .customLong("checkpoint_dir"), help: ArgumentHelp("Where the new weights are: a checkpoint, a model, another engine or an adapter.", valueName: "path"))
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
    help: ArgumentHelp("A LoRA adapter on top of the weights: a PEFT directory or a GGUF file; repeatable.", valueName: "path"))
  var adapters: [String] = []

  @Option(name: .customLong("lora_scale"), help: ArgumentHelp("Multiplies what adapters change; 1 by default.", valueName: "x"))
  var loraScale: Double?

  @Flag(name: .customLong("ignore_frozen"), help: "Keep the engine's embedding table where the new weights have another.")
  var ignoresFrozen = false

  @Flag(
    name: .customLong("keep_tokenizer"),
    help: "Keep the engine's tokenizer, chat template and generation settings; the source's come along otherwise.")
  var keepsTokenizer = false

  @Flag(help: "Write the engine without its refittable weights; needs no checkpoint.")
  var strip = false

  @Option(help: ArgumentHelp("Threads; by default as many as cores and memory allow.", valueName: "n"))
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

  public static let endsWhenCancelled = true

  /// For ArgumentParser, which fills the options.
  public init() {}

  public static func missing(beside given: Set<String>) -> [String] {
    guard !given.contains("--verify_engine") else { return [] }
    var missing = given.contains("--engine_dir") ? [] : ["--engine_dir <dir>"]
    if given.isDisjoint(with: ["--checkpoint_dir", "--lora_dir", "--strip"]) { missing.append("--checkpoint_dir <path> (or --lora_dir, or --strip)") }
    if !given.contains("--refit_engine_dir") { missing.append("--refit_engine_dir <dir>") }
    return missing
  }

  public func validate() throws {
    var problems: [String] = []
    if let workers, workers < 1 { problems.append("--workers is \(workers); it must be at least 1") }
    if let loraScale, !Float(loraScale).isFinite { problems.append("--lora_scale is \(loraScale); it must be a number that float32 holds") }
    if let report, FilePath(report).lastComponent?.kind != .regular { problems.append("--report is \"\(report)\"; name a file") }
    if verifiedEngine != nil {
      problems += useless(changing, besides: "--verify_engine checks one engine and takes no")
    } else {
      if strip { problems += useless(changing.filter { $0.needsWeights }, besides: "--strip takes no new weights, so no") }
      if dryRun { problems += useless(changing.filter { $0.needsOutput }, besides: "--dry_run writes nothing that could be looked at, so it takes no") }
      if !ranks.isEmpty, report != nil { problems.append("--report covers all ranks, and --rank writes some: leave one of them out") }
    }
    try refuse(problems)
  }

  /// Flags that ask for something, and whether that makes sense without new weights or without an output.
  private var changing: [(flag: String, isGiven: Bool, needsWeights: Bool, needsOutput: Bool)] {
    [
      ("--engine_dir", engineDirectory != nil, false, false), ("--refit_engine_dir", outputDirectory != nil, false, false),
      ("--checkpoint_dir", checkpoint != nil, true, false), ("--base_checkpoint_dir", baseCheckpoint != nil, true, false),
      ("--lora_dir", !adapters.isEmpty, true, false), ("--lora_scale", loraScale != nil, true, false),
      ("--ignore_frozen", ignoresFrozen, true, false), ("--keep_tokenizer", keepsTokenizer, true, false), ("--strict", strict, true, false), ("--rank", !ranks.isEmpty, true, false),
      ("--report", report != nil, true, true), ("--verify", verify, false, true), ("--strip", strip, false, false),
      ("--dry_run", dryRun, false, false),
    ]
  }
  private func useless(
    _ flags: [(flag: String, isGiven: Bool, needsWeights: Bool, needsOutput: Bool)], besides reason: String
  ) -> [String] {
    let given = flags.filter { $0.isGiven }.map { $0.flag }
    return given.isEmpty ? [] : ["\(reason) \(given.joined(separator: ", "))"]
  }

  public func run() async throws {
    let log = logOptions.log("trtllm-refit")
    // One process of several does what is not shared out.
    if verifiedEngine != nil || strip || dryRun, let launched, launched.rank > 0 {
      return log.info("process \(launched.rank) of \(launched.size): process 0 does this alone, nothing to do")
    }
    do {
      if let verifiedEngine { try await check(FilePath(verifiedEngine), log) } else { try await refit(log) }
    } catch let error as RefitError {
      if json { Terminal.write(RefitReport.refusal(error).serialized(indent: 2) + "\n") }
      throw error
    } catch let error as DifferentEngine {  // its report is printed
      throw error.reason
    } catch {
      if json { Terminal.write(RefitReport.failure(error).serialized(indent: 2) + "\n") }
      throw error
    }
  }

  /// An engine that is not what its lineage says.
  private struct DifferentEngine: Error { let reason: EngineError }

  private var launched: LaunchedRank? { LaunchedRank(environment: { Environment[$0] }) }
  private var workerCount: Int { workers ?? Processors.workers(memory: Refitter.workerByteCount) }

  private func check(_ path: FilePath, _ log: CommandLog) async throws {
    let result = try await EngineVerifier(workers: workerCount).verify(try EngineDirectory(path))
    if json {
      let answer: JSONValue = [
        "status": result.differences.isEmpty ? "verified" : "different", "engine": .string(path.string),
        "weights": .int(result.weightCount), "bytes": .int(result.byteCount),
        "differences": .strings(result.differences.map(\.description)),
      ]
      Terminal.write(answer.serialized(indent: 2) + "\n")
    }
    guard result.differences.isEmpty else {
      throw DifferentEngine(
        reason: EngineError(
          path,
          .source(
            reason: "the engine is not what was written (\(result.differences.count) difference(s)):\n  "
              + LineSummary.lines(result.differences.map(\.description)).joined(separator: "\n  ") + "\nCopy it again, or build or refit it again.")))
    }
    log.info("verified \(path): \(result.weightCount) weight(s), \(Format.bytes(result.byteCount)), all as written")
  }

  private func refit(_ log: CommandLog) async throws {
    let (engineDirectory, outputDirectory) = (engineDirectory ?? "", outputDirectory ?? "")
    if let report {
      let paths = [engineDirectory, outputDirectory] + [checkpoint, baseCheckpoint].compactMap { $0 } + adapters
      try RefitPage.check(FilePath(report), apartFrom: paths.map { FilePath($0) })
    }
    var phases = Phases()
    try OutputDirectory.recover(FilePath(engineDirectory))
    let engine = try await phases.measure("load engine") { try EngineDirectory(FilePath(engineDirectory)) }
    var options = Refitter.Options()
    options.workers = workerCount
    options.ignoresFrozen = ignoresFrozen
    options.keepsTokenizer = keepsTokenizer
    options.isStrict = strict
    options.verifies = verify
    options.measures = report != nil
    guard try chooseRanks(engine, &options, log) else { return }
    if report != nil, options.ranks != nil {
      throw UsageError("--report covers all ranks, and each process here writes some: refit with one process for it")
    }
    let refitter = Refitter(engine: engine, options: options)
    let target = FilePath(outputDirectory)
    if strip { return try await strip(refitter, to: target, &phases, log) }
    let source = try await phases.measure("load checkpoint") { try open(for: engine) }
    let prepared = try await phases.measure("preprocess weights") { try await refitter.prepare(source) }
    let warnings = prepared.warnings + idleOptions(prepared, source)
    log.warnings(warnings)
    for text in [prepared.files.summary, prepared.files.note].compactMap({ $0 }) { log.info(text) }
    if dryRun {
      try refitter.check(source, to: target)
      let counts = "\(prepared.refitted) weight(s) to refit, \(prepared.filled) to fill, \(prepared.kept) kept, \(prepared.ignored) ignored"
      log.info("would write \(outputDirectory): \(counts), \(Format.bytes(prepared.byteCount)); nothing was written")
      if json {
        let plan: JSONValue = [
          "status": "planned", "engine": .string(engineDirectory), "output": .string(outputDirectory),
          "weights": ["refit": .int(prepared.refitted), "fill": .int(prepared.filled), "kept": .int(prepared.kept), "ignored": .int(prepared.ignored)],
          "bytes": ["all": .int(prepared.byteCount)], "warnings": .strings(warnings),
          "files": RefitReport.json(prepared.files),
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
    log.warnings(summary.warnings)
    var outcome = RefitReport(
      engine: engineDirectory, output: outputDirectory, source: source.path.string, phases: phases, summary: summary,
      warnings: warnings + summary.warnings, files: prepared.files, writing: phases.list.last?.time ?? .zero)
    if json || logOptions.level >= .verbose, summary.pendingRanks.isEmpty, let rank = summary.weights.first?.rank {
      outcome.copyRate = CopyRate.measure(like: target.appending(EngineDirectory.fileName(rank: rank)), beside: target)
    }
    log.verbose(phases.description)
    log.info(outcome.line)
    if let report {
      let page = RefitPage(
        title: "Refit of \(engineDirectory) with \(source.path.string)", summary: outcome.line, rows: summary.movements(in: engine))
      do throws(FileError) { try AtomicFile.write(FilePath(report), bytes: Array(page.html.utf8)) } catch {
        throw EngineError(target, .source(reason: "the engine was written and is in place; only the report was not: \(error)"))
      }
    }
    if json { Terminal.write(outcome.json.serialized(indent: 2) + "\n") }
  }

  /// What was asked for and makes no difference with this source; no fault of its files, so `--strict` lets it be.
  private func idleOptions(_ prepared: Refitter.Prepared, _ source: RefitSource) -> [String] {
    var idle: [String] = []
    if ignoresFrozen, !prepared.givesFrozen {
      idle.append("--ignore_frozen has no effect: \(source.path) gives no weight that the engine does not let a refit change")
    }
    if keepsTokenizer, !prepared.bringsFiles {
      idle.append("--keep_tokenizer has no effect: \(source.path) brings no tokenizer, chat template or generation settings")
    }
    return idle
  }

  private func strip(_ refitter: Refitter, to target: FilePath, _ phases: inout Phases, _ log: CommandLog) async throws {
    let engine = refitter.engine.path
    if dryRun {
      try refitter.check(nil, to: target)
      log.info("would strip \(engine) into \(target); nothing was written")
    } else {
      let summary = try await phases.measure("save") { try await refitter.strip(to: target) }
      let verified = summary.verifiedCount > 0 ? ", \(summary.verifiedCount) weight(s) verified" : ""
      log.info("stripped \(engine) into \(target) in \(Format.time(phases.total))\(verified)")
    }
    guard json else { return }
    let answer: JSONValue = [
      "status": dryRun ? "planned" : "stripped", "engine": .string(engine.string), "output": .string(target.string),
      "phases": RefitReport.json(phases),
    ]
    Terminal.write(answer.serialized(indent: 2) + "\n")
  }

  /// - Throws: ``UsageError`` for flags of adapters where there is none.
  private func open(for engine: EngineDirectory) throws -> RefitSource {
    var paths = adapters.map { FilePath($0) }
    let path = checkpoint.map { FilePath($0) } ?? paths.removeFirst()
    let request = SourceRequest(
      path, as: checkpoint == nil ? .adapter : .weights, basePath: baseCheckpoint.map { FilePath($0) }, adapters: paths, loraScale: loraScale ?? 1)
    if baseCheckpoint != nil || (loraScale != nil && paths.isEmpty), case let kind = try FoundSource(at: path, for: request.role).kind, !kind.isAdapter {
      throw baseCheckpoint != nil
        ? UsageError("--base_checkpoint_dir gives an adapter its base, but \(path) is no adapter (\(kind.name)): leave it out, or name the adapter as --checkpoint_dir")
        : UsageError("--lora_scale multiplies what adapters change, but there is none: \(path) is no adapter (\(kind.name))")
    }
    return try RefitSource(request, for: engine)
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
    } else if !strip, !dryRun, let launched {
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
