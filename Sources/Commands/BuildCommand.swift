public import ArgumentParser
import Checkpoints
import Engines
import Execution
import Files
import JSON
import SystemPackage
import Threads

/// `trtllm-build`
public struct BuildCommand: DrydockCommand {
  public static let configuration = CommandConfiguration(
    commandName: "trtllm-build",
    abstract: "Build an engine from a model.",
    usage: "trtllm-build --checkpoint_dir <path> [<options>]",
    discussion: """
      Reads a TensorRT-LLM checkpoint, or a Hugging Face directory or GGUF file, which is converted on the way (the \
      engine is the same as that of its checkpoint, and nothing is stored in between). Plans the network for this \
      machine (fusion, kernels chosen by measuring), makes every weight as the plan's recipes say, and writes one \
      rank{r}.engine for each rank with config.json and the tokenizer files. The output directory appears complete or \
      not at all.

      With --target cuda the engine is for an NVIDIA card, which need not be there; its weights are bfloat16, which \
      --dtype auto then chooses. Where NVIDIA's compiler (libnvrtc) is found, the engine carries compiled kernels for the \
      cards that --cuda_arch names, and the driver alone runs it there; else it is built without, which is said, and \
      kernels are compiled where it is opened first.

      A pruned checkpoint gives a stripped engine: fill it with trtllm-refit. Other flags of TensorRT-LLM's command are \
      accepted, each with a line that says why it has no effect here.

      Examples:
        trtllm-build --checkpoint_dir ./checkpoint --output_dir ./engines/v1
        trtllm-build --model_dir ./SmolLM2.gguf --output_dir ./engines/v1 \\
          --dtype bfloat16
        trtllm-build --model_dir ./SmolLM2.gguf --output_dir ./engines/gpu \\
          --target cuda --cuda_arch 90a,80

      Exit codes: 0 done, 1 failed (a path that does not exist, too), 2 wrong usage.
      """,
    version: Tool.name)

  @Option(
    name: [.customLong("checkpoint_dir"), .customLong("model_dir")],
    help: ArgumentHelp("A checkpoint, a Hugging Face directory or a .gguf file.", valueName: "path"))
  var model: String

  @OptionGroup(title: "Of a Hugging Face directory or GGUF file") var conversion: ConversionOptions

  @Option(name: .customLong("output_dir"), help: ArgumentHelp("Where the engine goes.", valueName: "dir"))
  var outputDirectory: String = "engine_outputs"

  private static var targets: String { BackendRegistry.here.backends.map(\.target).joined(separator: " or ") }
  @Option(
    help: ArgumentHelp(
      "What the engine is to run on: \(Self.targets); \(BackendRegistry.here.standard.target) by default. "
        + "Building needs none of it.",
      valueName: "name"))
  var target: String?

  @Option(
    name: .customLong("cuda_arch"),
    help: ArgumentHelp(
      "Cards whose compiled kernels the engine carries: compute capabilities such as 90a,80, or none. That of the card here by default, else 90a.",
      valueName: "list"))
  var architectures: String?

  @Option(name: .customLong("max_batch_size"), help: ArgumentHelp("Most sequences in one step.", valueName: "n"))
  var maximumBatchSize: Int = 2048

  @Option(name: .customLong("max_input_len"), help: ArgumentHelp("Longest prompt; recorded, not enforced: as upstream with its defaults, the sequence length is the limit.", valueName: "n"))
  var maximumInputLength: Int = 1024

  @Option(
    name: [.customLong("max_seq_len"), .customLong("max_decoder_seq_len")],
    help: ArgumentHelp("Longest sequence, prompt and answer together; the model's own limit by default. More than its positions is warned of, more than its sliding window refused.", valueName: "n"))
  var maximumSequenceLength: Int?

  @Option(name: .customLong("max_num_tokens"), help: ArgumentHelp("Most token rows in one step.", valueName: "n"))
  var maximumTokens: Int = 8192

  @Option(name: .customLong("kv_cache_dtype"), help: KeyValueCacheType.help)
  var keyValueCacheType: KeyValueCacheType = .auto

  @Flag(name: .customLong("strip_plan"), help: "Leave refittable weights out of the engine.")
  var stripPlan = false

  @Option(
    name: .customLong("refit_scope"),
    help: ArgumentHelp("Which weights a refit may change: default (all but the embedding table) or all.", valueName: "scope"))
  var refitScope: RefitScope = .standard

  @Option(
    name: .customLong("input_timing_cache"),
    help: ArgumentHelp("Kernel choices measured earlier; they are used again.", valueName: "file"))
  var inputTimingCache: String?

  @Option(
    name: .customLong("output_timing_cache"),
    help: ArgumentHelp("Where to write the kernel choices; nowhere by default.", valueName: "file"))
  var outputTimingCache: String?

  @Option(help: ArgumentHelp("Threads; by default as many as cores and memory allow.", valueName: "n"))
  var workers: Int?

  @Flag(name: .customLong("dry_run"), help: "Check everything, say what would be built, and write nothing.")
  var dryRun = false

  @Flag(help: "Make every warning about the model's files an error, before anything is written.")
  var strict = false

  @OptionGroup var logOptions: LogOptions

  public static let endsWhenCancelled = true

  /// For ArgumentParser, which fills the options.
  public init() {}

  public static let ignoredFlags = UpstreamFlags.build

  public func validate() throws {
    var problems = conversion.problems
    for (name, value) in [
      ("max_batch_size", maximumBatchSize), ("max_input_len", maximumInputLength), ("max_num_tokens", maximumTokens),
      ("max_seq_len", maximumSequenceLength ?? 2), ("workers", workers ?? 1),
    ] where value < 1 || value > 1 << 24 { problems.append("--\(name) is \(value); it must be from 1 to 16777216") }
    if maximumSequenceLength == 1 { problems += OpenedModel.problems(ofSequenceLength: 1) }
    if let target, BackendRegistry.here[target] == nil {
      problems.append("--target is \(target); it must be \(Self.targets)")
    }
    problems += backend.problems(in: targetOptions)
    if let type = conversion.elementType, case let target = planTarget, target.linearLayout(type) == nil {
      problems.append(
        "--dtype is \(conversion.dtype ?? ""), and an engine for --target \(target.name) takes \(target.elementTypeNames) weights only: give --dtype \(target.elementTypeNames), or auto")
    }
    if let scheme = conversion.scheme, case let target = planTarget, target.linearLayout(scheme) == nil {
      problems.append("--quantization is \(scheme.name), and --target \(target.name) has no kernels for it: leave it out, or build for another target")
    }
    try refuse(problems)
  }

  private var backend: any Backend { target.flatMap { BackendRegistry.here[$0] } ?? BackendRegistry.here.standard }
  private var planTarget: any PlanTarget { backend.planTarget(targetOptions) }
  private var targetOptions: TargetOptions {
    var options = TargetOptions()
    options.architectures = architectures.map { $0 == "none" ? [] : $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
    return options
  }

  /// The model, in a type that the target has kernels for where none is asked for.
  ///
  /// - Throws: ``UsageError`` for a checkpoint, which has a type, of another one.
  private func open(for target: any PlanTarget, _ log: CommandLog) throws -> BuildSource {
    let path = FilePath(model)
    let source = try BuildSource(path, elementType: conversion.elementType, mapping: conversion.mapping, scheme: conversion.scheme)
    if source.kind == .checkpoint { try conversion.check(against: source.config, of: model) }
    let type = source.config.elementType
    guard target.linearLayout(type) == nil, let other = target.elementTypes.first else { return source }
    let name = type.configName ?? type.rawValue
    guard source.kind != .checkpoint else {
      throw UsageError(
        "\(model) is a checkpoint of \(name) weights, and an engine for --target \(target.name) takes \(target.elementTypeNames) only: convert the model again with --dtype \(target.elementTypeNames)")
    }
    log.info("--dtype auto takes \(other.configName ?? other.rawValue), not \(name): an engine for --target \(target.name) takes no other weights")
    return try BuildSource(path, elementType: other, mapping: conversion.mapping, scheme: conversion.scheme)
  }

  /// A file that is there must be a timing cache, and its directory must exist: checked before an hour's build, not after.
  private func checkReplaceable(_ path: String) throws {
    let file = FilePath(path)
    let parent = file.removingLastComponent()
    guard let name = file.lastComponent?.string else { throw UsageError("--output_timing_cache is \"\(path)\"; name a file") }
    if ["config.json", "lineage.json"].contains(name) || name.hasSuffix(".engine") {
      throw CommandFailure("--output_timing_cache is \(path). Name a file that is no part of an engine.")
    }
    // Into the engine itself, which the build makes.
    if !parent.isEmpty, parent.lexicallyNormalized() == FilePath(outputDirectory).lexicallyNormalized(), Directory.kind(of: parent) == nil { return }
    if try Directory.names(in: parent.isEmpty ? "." : parent).contains(name) { _ = try TimingCache(path: file) }
  }

  public func run() async throws {
    let log = logOptions.log("trtllm-build")
    var phases = Phases()
    let target = planTarget
    let source = try await phases.measure("load checkpoint") { try open(for: target, log) }
    var options = EngineBuilder.Options()
    options.maximumBatchSize = maximumBatchSize
    options.maximumInputLength = maximumInputLength
    options.maximumSequenceLength = maximumSequenceLength
    options.maximumTokens = maximumTokens
    options.strip = stripPlan
    options.scope = refitScope
    options.cacheElementType = keyValueCacheType.elementType
    options.workers = workers ?? Processors.workers(memory: Refitter.workerByteCount)
    if let outputTimingCache { try naming("--output_timing_cache") { try checkReplaceable(outputTimingCache) } }
    if let inputTimingCache { options.timingCache = try naming("--input_timing_cache") { try TimingCache(path: FilePath(inputTimingCache)) } }
    let builder = EngineBuilder(options: options, target: target)
    let prepared = try await phases.measure("plan") { try builder.prepare(source) }
    try log.warnings((source.warnings + prepared.warnings).map(\.description) + prepared.tensorWarnings + prepared.fileWarnings, isStrict: strict)
    for remark in prepared.fileRemarks { log.info(remark) }
    let world = source.config.mapping.worldSize
    let what = "\(source.config.architecture), \(source.config.elementType.rawValue)\(source.config.quantization.scheme.map { ", \($0.title)" } ?? ""), \(world) rank(s), \(target.device)"
    if dryRun {
      try naming("--output_dir") { try builder.check(source, to: FilePath(outputDirectory)) }
      log.info(
        "would build \(what): \(Format.bytes(prepared.byteCount)) of weights\(prepared.isStripped ? ", stripped" : "") "
          + "into \(outputDirectory); nothing was written")
      return
    }
    log.verbose("building \(what)")
    let progress = ProgressCounter(total: prepared.byteCount)
    let output = FilePath(outputDirectory)
    let result = try await phases.measure("write") {
      try await ProgressLine.show("building", progress) {
        try await builder.write(prepared, of: source, to: output, progress: progress)
      }
    }
    log.warnings(result.warnings)
    for note in result.notes { log.info(note) }
    if let outputTimingCache {
      try checkReplaceable(outputTimingCache)
      try AtomicFile.write(FilePath(outputTimingCache), bytes: Array((result.timingCache.json.serialized(indent: 2) + "\n").utf8))
    }
    log.verbose(phases.description)
    log.info(
      "built \(outputDirectory): \(what), \(Format.bytes(result.byteCount)) of weights"
        + (result.isStripped ? " (stripped: fill it with trtllm-refit)" : "") + " in \(Format.time(phases.total))")
  }
}

extension RefitScope: ExpressibleByArgument {}
