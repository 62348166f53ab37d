public import ArgumentParser
import Checkpoints
import CPUBackend
import Files
import Engines
import JSON
import SystemPackage
import Tensors
import Tokenizers
import WeightSources

/// `trtllm-convert`
public struct ConvertCommand: DrydockCommand {
  public static let configuration = CommandConfiguration(
    commandName: "trtllm-convert",
    abstract: "Convert a model to a TensorRT-LLM checkpoint.",
    discussion: """
      Reads a Hugging Face directory (safetensors) or a GGUF file and writes config.json, one rank{r}.safetensors for \
      each rank, and the tokenizer files that later steps need. Memory does not grow with the model. The output \
      directory appears complete or not at all.

      Example:
        trtllm-convert --model_dir ./SmolLM2.gguf --output_dir ./checkpoint --dtype bfloat16

      Exit codes: 0 done, 1 failed, 2 wrong usage.
      """)

  @Option(name: .customLong("model_dir"), help: ArgumentHelp("A Hugging Face directory or a .gguf file.", valueName: "path"))
  var model: String

  @Option(name: .customLong("output_dir"), help: ArgumentHelp("Where the checkpoint goes.", valueName: "dir"))
  var outputDirectory: String = "tllm_checkpoint"

  @Option(
    help: ArgumentHelp(
      "auto, float16, bfloat16 or float32. auto: as published, but float32 becomes float16 and quantised blocks bfloat16.",
      valueName: "type"))
  var dtype: String = "auto"

  @Option(name: .customLong("tp_size"), help: ArgumentHelp("Tensor-parallel ranks.", valueName: "n"))
  var tensorParallel: Int = 1

  @Option(name: .customLong("pp_size"), help: ArgumentHelp("Pipeline stages.", valueName: "n"))
  var pipelineParallel: Int = 1

  @Option(help: ArgumentHelp("Threads; by default as many as cores and memory allow.", valueName: "n"))
  var workers: Int?

  @Flag(help: "Make every warning about the model's files an error, before anything is written.")
  var strict = false

  @OptionGroup var logOptions: LogOptions

  public init() {}

  public static let ignoredFlags: [IgnoredFlag] = [
    IgnoredFlag("load_by_shard", takesValue: false, "weights are always read piece by piece"),
    IgnoredFlag("load_model_on_cpu", takesValue: false, "weights are never held on a device"),
  ]

  public func validate() throws {
    guard dtype == "auto" || elementType != nil else {
      throw ValidationError("--dtype is \"\(dtype)\"; give auto, float16, bfloat16 or float32")
    }
    for (name, value) in [("tp_size", tensorParallel), ("pp_size", pipelineParallel), ("workers", workers ?? 1)] {
      guard value >= 1, value <= 1024 else { throw ValidationError("--\(name) is \(value); it must be from 1 to 1024") }
    }
  }

  private var elementType: ElementType? {
    ElementType(configName: dtype).flatMap { ElementType.checkpointTypes.contains($0) ? $0 : nil }
  }

  public func run() async throws {
    let log = logOptions.log("trtllm-convert")
    var phases = Phases()
    let source = try await phases.measure("open") { try ModelSource(FilePath(model)) }
    try log.warnings(source.warnings.map(\.description), isStrict: strict)
    var converter = try CheckpointConverter(
      source, mapping: Mapping(tensorParallel: tensorParallel, pipelineParallel: pipelineParallel),
      elementType: elementType)
    converter.workers = workers ?? 0
    if let gguf = source.gguf { converter.extraFiles = try TokenizerFiles.fromGGUF(gguf) }
    let progress = ProgressCounter()
    let (ready, target) = (converter, FilePath(outputDirectory))
    let summary = try await phases.measure("convert") {
      try await ProgressLine.show("converting", progress) {
        try ready.write(to: target) { progress.report($0, of: $1) }
      }
    }
    log.info(
      "converted \(model) to \(outputDirectory): \(source.model.architecture), \(converter.elementType.rawValue), "
        + "\(tensorParallel * pipelineParallel) rank(s), \(summary.tensorCount) tensors, \(Format.bytes(summary.byteCount)) "
        + "in \(Format.time(phases.total))")
  }
}

extension TokenizerFiles {
  /// The tokenizer's files, as bytes by name, made from a GGUF file's metadata.
  static func fromGGUF(_ file: GGUFFile) throws -> [String: [UInt8]] {
    let found = try file.metadata.tokenizer()
    return try TokenizerFiles.contents(
      fromGGUF: Tokenizers.GGUFTokenizer(
        model: found.model, preTokenizer: found.pre, tokens: found.tokens, tokenTypes: found.tokenTypes, merges: found.merges,
        beginningID: found.bosTokenID, endID: found.eosTokenID, endOfTurnID: found.eotTokenID, unknownID: found.unknownTokenID,
        paddingID: found.paddingTokenID, addsBeginning: found.addsBOSToken, addsEnd: found.addsEOSToken,
        addsSpacePrefix: found.addsSpacePrefix, chatTemplate: found.chatTemplate, scores: found.scores))
  }
}
