public import ArgumentParser
import Checkpoints
import Execution
import Files
import Engines
import JSON
import SystemPackage
import Tensors
import Threads
import WeightSources

/// `trtllm-convert`
public struct ConvertCommand: DrydockCommand {
  public static let configuration = CommandConfiguration(
    commandName: "trtllm-convert",
    abstract: "Convert a model to a TensorRT-LLM checkpoint.",
    usage: "trtllm-convert --model_dir <path> [<options>]",
    discussion: """
      Reads a Hugging Face directory (safetensors) or a GGUF file and writes config.json, one rank{r}.safetensors for \
      each rank, and the tokenizer files that later steps need. Memory does not grow with the model. The output \
      directory appears complete or not at all.

      trtllm-build takes the model itself, too; a checkpoint is for pruning, and for what other tools make of it.

      Examples:
        trtllm-convert --model_dir ./SmolLM2.gguf --output_dir ./checkpoint
        trtllm-convert --model_dir ./SmolLM2.gguf --output_dir ./checkpoint-tp2 \\
          --dtype bfloat16 --tp_size 2
        trtllm-convert --list_families

      Exit codes: 0 done, 1 failed (a path that does not exist, too), 2 wrong usage.
      """,
    version: Tool.name)

  @Option(name: .customLong("model_dir"), help: ArgumentHelp("A Hugging Face directory or a .gguf file.", valueName: "path"))
  var model: String?

  @Option(name: .customLong("output_dir"), help: ArgumentHelp("Where the checkpoint goes.", valueName: "dir"))
  var outputDirectory: String = "tllm_checkpoint"

  @OptionGroup var conversion: ConversionOptions

  @Option(help: ArgumentHelp("Threads; by default as many as cores and memory allow.", valueName: "n"))
  var workers: Int?

  @Flag(name: .customLong("list_families"), help: "Print which families of models there are, from which formats and for which targets, and do nothing else.")
  var listsFamilies = false

  @Flag(help: "Make every warning about the model's files an error, before anything is written.")
  var strict = false

  @OptionGroup var logOptions: LogOptions

  /// For ArgumentParser, which fills the options.
  public init() {}

  public static let ignoredFlags: [IgnoredFlag] = [
    IgnoredFlag("load_by_shard", takesValue: false, "weights are always read piece by piece"),
    IgnoredFlag("load_model_on_cpu", takesValue: false, "weights are never held on a device"),
  ]

  public static func missing(beside given: Set<String>) -> [String] { given.isDisjoint(with: ["--model_dir", "--list_families"]) ? ["--model_dir <path>"] : [] }

  public func validate() throws {
    var problems = conversion.problems
    if let workers, !(1...1024).contains(workers) { problems.append("--workers is \(workers); it must be from 1 to 1024") }
    try refuse(problems)
  }

  public func run() async throws {
    if listsFamilies { return print(try FamilyTable.text(.here)) }
    guard let model else { throw UsageError("missing: --model_dir <path>", showsUsage: true) }
    let log = logOptions.log("trtllm-convert")
    var phases = Phases()
    let source = try await phases.measure("open") { try ModelSource(FilePath(model)) }
    var converter = try CheckpointConverter(source, mapping: conversion.mapping, elementType: conversion.elementType, scheme: conversion.scheme)
    converter.workers = workers ?? 0
    let files = try converter.companions.findings(modelVocabulary: source.model.shape.vocabularySize)
    let warnings = source.warnings + converter.weights.warnings + source.lengthWarnings
    try log.warnings(warnings.map(\.description) + files.all, isStrict: strict)
    for remark in files.remarks { log.info(remark) }
    let progress = ProgressCounter()
    let (ready, target) = (converter, FilePath(outputDirectory))
    let summary = try await phases.measure("convert") {
      try await ProgressLine.show("converting", progress) {
        try ready.write(to: target, progress: { progress.report($0, of: $1) }, check: { try log.warnings($0.warnings, isStrict: strict) })
      }
    }
    log.info(
      "converted \(model) to \(outputDirectory): \(source.model.architecture), \(converter.elementType.rawValue)\(converter.scheme.map { ", \($0.title)" } ?? ""), "
        + "\(conversion.mapping.worldSize) rank(s), \(summary.tensorCount) tensors, \(Format.bytes(summary.byteCount)) "
        + "in \(Format.time(phases.total))")
  }
}
