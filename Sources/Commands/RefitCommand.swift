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
      """)

  @Option(name: .customLong("engine_dir"), help: ArgumentHelp("The engine: config.json and rank*.engine.", valueName: "dir"))
  var engineDirectory: String

  @Option(name: .customLong("checkpoint_dir"), help: ArgumentHelp("Where the new weights are.", valueName: "path"))
  var checkpoint: String?

  @Option(
    name: [.customLong("refit_engine_dir"), .customLong("output_dir")],
    help: ArgumentHelp("Where the refitted engine goes.", valueName: "dir"))
  var outputDirectory: String

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

  @OptionGroup var logOptions: LogOptions

  public init() {}

  public func validate() throws {
    if let workers, workers < 1 { throw ValidationError("--workers is \(workers); it must be at least 1") }
    guard loraScale.isFinite else { throw ValidationError("--lora_scale is \(loraScale); it must be a finite number") }
    if strip {
      guard checkpoint == nil, adapters.isEmpty else { throw ValidationError("--strip takes no new weights: leave --checkpoint_dir out") }
    } else if checkpoint == nil && adapters.isEmpty {
      throw ValidationError("Missing expected argument '--checkpoint_dir <path>'")
    }
  }

  public func run() async throws {
    let log = logOptions.log("trtllm-refit")
    var phases = Phases()
    let engine = try await phases.measure("load engine") { try EngineDirectory(FilePath(engineDirectory)) }
    var options = Refitter.Options()
    options.workers = workers ?? Processors.count
    options.ignoresFrozen = ignoresFrozen
    let refitter = Refitter(engine: engine, options: options)
    let target = FilePath(outputDirectory)
    if strip {
      if dryRun { return log.info("would strip \(engineDirectory) into \(outputDirectory); nothing was written") }
      try await phases.measure("save") { try await refitter.strip(to: target) }
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
    let counts = "\(prepared.refitted) weight(s) refitted, \(prepared.filled) filled, \(prepared.kept) kept"
    if dryRun {
      return log.info("would write \(outputDirectory): \(counts), \(Format.bytes(prepared.byteCount)); nothing was written")
    }
    let progress = ProgressCounter(total: prepared.byteCount)
    let clock = ContinuousClock()
    let start = clock.now
    try await phases.measure("refit and save") {
      try await ProgressLine.show("refitting", progress) {
        try await refitter.write(prepared, from: source, to: target, progress: progress)
      }
    }
    log.verbose(phases.description)
    log.info(
      "refitted \(outputDirectory): \(counts), \(Format.bytes(prepared.byteCount)) in \(Format.time(phases.total)) "
        + "(\(Format.rate(prepared.byteCount, clock.now - start)))")
  }
}
