public import ArgumentParser
import Execution
import Engines
import Files
import Inference
import Logging
import Serving
import SystemPackage
import Tokenizers

/// `trtllm-serve`
public struct ServeCommand: DrydockCommand {
  public static let configuration = CommandConfiguration(
    commandName: "trtllm-serve",
    abstract: "Serve an engine or a model file over HTTP, with OpenAI's completions and chat API.",
    usage: "trtllm-serve <model> [<options>]",
    discussion: """
      Given a Hugging Face directory, a GGUF file or a checkpoint, it builds an engine for this machine, keeps it in \
      --engine_cache, and uses it again the next time. Other flags of TensorRT-LLM's command are accepted, each with a \
      line that says why it has no effect here.

      Examples:
        trtllm-serve ./SmolLM2-135M-Instruct.gguf
        trtllm-serve ./engines/v1
        trtllm-serve ./engines/v1 --host 0.0.0.0 --port 8080 \\
          --api_key_file ./key
        DRYDOCK_ADMIN_KEY=... trtllm-serve ./engines/v1 \\
          --weights_root ./finetunes

      Then, for example:
        curl localhost:8000/v1/chat/completions \\
          -H 'Content-Type: application/json' \\
          -d '{"model": "v1", "max_tokens": 64,
               "messages": [{"role": "user", "content": "Hi"}]}'

      Exit codes: 0 done, 1 failed (a path that does not exist, too), 2 wrong usage.
      """,
    version: Tool.name)

  public static let ignoredFlags = UpstreamFlags.serve
  public static let optionsElsewhere = OpenedModel.optionsElsewhere

  @Argument(help: ArgumentHelp("An engine, a Hugging Face directory, a .gguf file or a checkpoint.", valueName: "model"))
  var words: [String]

  @Option(
    name: [.customLong("tokenizer_dir"), .customLong("tokenizer")],
    help: ArgumentHelp("A directory with tokenizer.json; the engine's own by default.", valueName: "dir"))
  var tokenizer: String?

  @Option(help: ArgumentHelp("Name or address to listen on; localhost is 127.0.0.1.", valueName: "host"))
  var host: String = "localhost"

  @Option(help: ArgumentHelp("Port to listen on.", valueName: "port"))
  var port: Int = 8000

  @Option(
    name: .customLong("served_model_name"),
    help: ArgumentHelp("The name clients give as model; the directory's or file's name by default. Give it again for more names; replies have the first.", valueName: "name"))
  var servedModelNames: [String] = []

  @Option(
    name: .customLong("chat_template"),
    help: ArgumentHelp("A Jinja file, or the template itself, instead of the model's own.", valueName: "file"))
  var chatTemplate: String?

  @OptionGroup var generation: GenerationOptions

  @Flag(
    name: .customLong("trust_request_chat_template"),
    help: "Let requests bring their own chat_template, which is a program that runs here; refused by default.")
  var trustsRequestChatTemplates = false

  @OptionGroup(title: "Keys") var keys: KeyOptions

  @Option(
    name: .customLong("cors_origin"),
    help: ArgumentHelp("Origin of web pages that may use the server, such as https://app.example, or *; give it again for more. None by default.", valueName: "origin"))
  var corsOrigins: [String] = []

  @Option(
    name: .customLong("weights_root"),
    help: ArgumentHelp("Directory below which /admin/v1/ may read new weights; needed with --admin_key.", valueName: "dir"))
  var weightsRoot: String?

  @Option(
    name: .customLong("weights_workers"),
    help: ArgumentHelp("Threads of lowest priority that make new weights while serving.", valueName: "n"))
  var weightsWorkers: Int?

  @Option(
    name: .customLong("weights_memory"),
    help: ArgumentHelp(
      "Memory of a GPU kept for new weights, such as 16GB; as much as the engine's take by default, with --admin_key.", valueName: "size"))
  var weightsMemory: ByteCount?

  @Option(name: .customLong("tls_certificate"), help: ArgumentHelp("PEM file with the certificate chain.", valueName: "file", visibility: CertificateFiles.areSupported ? .default : .private))
  var certificate: String?

  @Option(name: .customLong("tls_key"), help: ArgumentHelp("PEM file with the certificate's private key.", valueName: "file", visibility: CertificateFiles.areSupported ? .default : .private))
  var certificateKey: String?

  @Option(name: .customLong("max_batch_size"), help: ArgumentHelp("Most sequences in one step; 16 by default.", valueName: "n"))
  var maximumBatchSize: Int?

  @Option(
    name: .customLong("max_num_tokens"),
    help: ArgumentHelp("Most tokens in one step; longer prompts are read in parts. 512 by default.", valueName: "n"))
  var maximumTokens: Int?

  @Option(
    name: .customLong("max_seq_len"),
    help: ArgumentHelp("Most tokens of prompt and answer; what the engine was built for by default.", valueName: "n"))
  var maximumSequenceLength: Int?

  @Option(
    name: .customLong("max_queue_size"),
    help: ArgumentHelp("Most sequences that wait; more are refused (429).", valueName: "n"))
  var maximumQueueSize: Int = 256

  @Option(
    name: .customLong("drain_seconds"),
    help: ArgumentHelp("How long running answers may take to end after SIGTERM or Ctrl-C; a second one ends the server at once.", valueName: "n"))
  var drainSeconds: Int = 30

  @Option(help: ArgumentHelp("Threads that compute; as many as there are cores by default.", valueName: "n"))
  var threads: Int?

  @OptionGroup(title: "Memory of keys and values") var keyValueCache: KeyValueCacheOptions

  @OptionGroup var engineKernels: EngineKernelOptions
  @OptionGroup(title: "If the path is a model, of which an engine is built first") var engineCache: EngineCacheOptions
  @OptionGroup var logOptions: LogOptions

  /// For ArgumentParser, which fills the options.
  public init() {}

  /// Upstream's first word may name a kind of server; only the ordinary one exists here.
  private var modelPath: String? {
    let isNamed = words.count == 2 && words.first == "serve"
    return isNamed || words.count == 1 ? words.last : nil
  }

  public func validate() throws {
    if let word = words.first, ["grpc", "disaggregated", "disaggregated_mpi_worker", "mm_embedding_serve"].contains(word) {
      throw ValidationError("'\(word)' servers are not supported; run 'trtllm-serve MODEL'")
    }
    var problems: [String] = []
    if modelPath == nil { problems.append("give one engine or model; there are \(words.count) words that belong to no flag") }
    if !(0...65535).contains(port) { problems.append("--port is \(port); it must be from 0 to 65535") }
    for (name, value) in [
      ("max_batch_size", maximumBatchSize ?? 1), ("max_num_tokens", maximumTokens ?? 1), ("max_queue_size", maximumQueueSize),
      ("threads", threads ?? 1), ("weights_workers", weightsWorkers ?? 1),
    ] where value < 1 {
      problems.append("--\(name) is \(value); it must be at least 1")
    }
    problems += OpenedModel.problems(ofSequenceLength: maximumSequenceLength)
    if drainSeconds < 0 { problems.append("--drain_seconds is \(drainSeconds); it must be at least 0") }
    if (certificate == nil) != (certificateKey == nil) {
      problems.append("--tls_certificate and --tls_key go together; give both or none")
    }
    // Before an engine is opened, or built.
    if certificate != nil || certificateKey != nil, !CertificateFiles.areSupported {
      problems.append("--tls_certificate and --tls_key: this program was built without TLS; install it with Scripts/install, or put a proxy with TLS in front")
    }
    if keys.hasAdminFlag && weightsRoot == nil {
      problems.append("--admin_key needs --weights_root, the directory below which new weights may be read")
    }
    if !keys.hasAdminKey {
      for (name, isGiven) in [("weights_root", weightsRoot != nil), ("weights_workers", weightsWorkers != nil), ("weights_memory", weightsMemory != nil)]
      where isGiven {
        problems.append("--\(name) needs --admin_key: without it, weights cannot be changed")
      }
    }
    do { _ = try CORSOrigins(corsOrigins) } catch { problems.append("--cors_origin: \(error)") }
    if servedModelNames.contains("") {
      problems.append("--served_model_name is empty; leave it out to serve under the directory's name")
    }
    try refuse(problems + keys.problems + keyValueCache.problems + engineCache.problems)
  }

  public func run() async throws {
    guard let path = modelPath else { throw UsageError("give one engine or model") }
    let (apiKey, adminKey) = try keys.read(makeLogger())
    let logger = makeLogger(hiding: [apiKey, adminKey].compactMap(\.self))
    let root = try adminKey.map { _ in try readWeightsRoot() }
    for (flag, file) in [("--tls_certificate", certificate), ("--tls_key", certificateKey)] {
      if let file { try naming(flag) { _ = try ReadableFile(FilePath(file)) } }
    }
    DescriptorLimit.raise()
    // Before the model is loaded: that takes longer than to find the port in use.
    try await ListeningAddress.check(host: host, port: port)
    let template = try makeChatTemplate()
    var engineOptions = ExecutorOptions()
    engineOptions.maximumSequences = maximumBatchSize ?? engineOptions.maximumSequences
    engineOptions.maximumBatchRows = maximumTokens ?? engineOptions.maximumBatchRows
    engineOptions.maximumSequenceLength = maximumSequenceLength
    engineOptions.threadCount = threads
    keyValueCache.apply(to: &engineOptions)
    engineKernels.apply(to: &engineOptions)
    if adminKey != nil { engineOptions.weightRoom = weightsMemory.map { .bytes($0.count) } ?? .oneCopy }
    let used = try await UsedEngine(
      path, options: engineCache,
      wanted: .init(
        batchSize: maximumBatchSize ?? 0, tokens: maximumTokens ?? 0, threads: threads, opening: engineOptions,
        usesGenerationConfig: generation.use == .asPublished, tokenizerFlag: OpenedModel.tokenizerFlag, hasTokenizer: tokenizer != nil),
      log: logOptions.log("trtllm-serve"))
    defer { used.end() }
    let model = try used.told { try OpenedModel(engineDirectory: used.path.string, tokenizerPath: tokenizer, options: engineOptions) }
    let watch = EngineWatch(model.directory)
    let asked = [("max_batch_size", maximumBatchSize), ("max_num_tokens", maximumTokens), ("max_seq_len", maximumSequenceLength)]
    for text in model.warnings + model.clipped(asked) + engineKernels.warnings(for: model.directory) { logger.warning("\(text)") }
    for text in model.engine.memoryWarnings { logger.warning("\(text)") }
    let readRate = model.engine.measureReadRate()
    let loop = try EngineLoop(executor: model.engine, options: .init(maximumQueuedRequests: maximumQueueSize))
    let administration = try await administration(of: model, loop, adminKey, root, logger)
    let versions = try administration?.weights.log ?? WeightVersionLog(Self.weightVersion(used.path))
    let version = versions.current
    logger.info(
      "engine opened",
      metadata: [
        "engine": .string(used.path.string), "weights": .string(version), "seconds": "\(Format.roundedSeconds(model.loadTime))",
        "kv_cache": .string(model.engine.cacheDescription),
        "memory_read_gigabytes_per_second": "\(readRate.map { "\(($0 / 1e8).rounded() / 10)" } ?? "unknown")",
      ])
    let engine = LoopCompletionEngine(
      loop: loop, tokenizer: model.tokenizer, versions: versions, chatTemplate: template, memoryReadRate: readRate,
      failure: { watch.change ?? model.engine.failure })
    var options = try serverOptions(used.modelName)
    options.apiKey = apiKey
    options.samplingDefaults = try generation.defaults(of: model, logOptions.log("trtllm-serve"))
    options.administration = administration?.options
    let modelName = options.modelName
    let server = Server(engine: engine, options: options, logger: logger) { [host, certificate] port in
      logger.info(
        "listening",
        metadata: ["url": "\(certificate == nil ? "http" : "https")://\(host):\(port)", "model": .string(modelName)])
    }
    // Nothing is written that would have to be cleared away, so the process may end anywhere.
    do { try await server.runUntilSignal(onSecondSignal: { CommandRunner.end(bySignal: $0) }) } catch {
      await loop.stop(drain: false)
      throw error
    }
    await loop.stop(drain: false)
    logger.info("stopped")
  }

  /// What changes weights while serving, where there is a key for it.
  private func administration(
    of model: OpenedModel, _ loop: EngineLoop, _ key: Secret?, _ root: WeightsRoot?, _ logger: Logger
  ) async throws -> (weights: LiveWeights, options: Administration)? {
    guard let key, let root else { return nil }
    let weights = try LiveWeights(
      engine: model.engine, loop: loop, refitter: try await LiveRefitter(model.directory), workers: weightsWorkers ?? Self.defaultWeightsWorkers(model.engine))
    return (weights, Administration(key: key, weightsRoot: root, weights: LiveWeightAdministration(weights: weights, logger: logger)))
  }

  /// Where a device computes, processors have nothing else to do.
  private static func defaultWeightsWorkers(_ engine: any OpenedEngine) -> Int {
    engine.freeWeightByteCount == nil ? 1 : max(1, Processors.count - 2)
  }

  private func readWeightsRoot() throws -> WeightsRoot {
    guard let weightsRoot else {
      throw UsageError("DRYDOCK_ADMIN_KEY needs --weights_root, the directory below which new weights may be read")
    }
    guard let root = WeightsRoot(weightsRoot) else {
      throw CommandFailure("--weights_root: \(weightsRoot) is no directory that can be read. Name the directory below which new weights lie.")
    }
    return root
  }

  private func serverOptions(_ modelName: String) throws -> ServerOptions {
    var options = ServerOptions(
      modelName: servedModelNames.first ?? modelName, version: Tool.version)
    options.otherModelNames = Array(servedModelNames.dropFirst())
    if !corsOrigins.isEmpty { options.corsOrigins = try CORSOrigins(corsOrigins) }
    options.host = host
    options.port = port
    options.trustsRequestChatTemplates = trustsRequestChatTemplates
    options.drainTimeLimit = .seconds(drainSeconds)
    if let certificate, let certificateKey {
      options.certificates = CertificateFiles(certificateChain: certificate, privateKey: certificateKey)
    }
    return options
  }

  /// What holds a brace is a template, all else the path of one.
  private func makeChatTemplate() throws -> ChatTemplate? {
    guard let chatTemplate else { return nil }
    let isPath = !chatTemplate.contains("{")
    guard isPath else {
      do { return try ChatTemplate(source: chatTemplate) } catch { throw UsageError("--chat_template: \(error)") }
    }
    let source = try naming("--chat_template") { String(decoding: try ReadableFile.contents(of: FilePath(chatTemplate)), as: UTF8.self) }
    do { return try ChatTemplate(source: source) } catch { throw CommandFailure("--chat_template: \(chatTemplate): \(error)") }
  }

  private func makeLogger(hiding secrets: [Secret] = []) -> Logger {
    let level: Logger.Level =
      switch logOptions.level {
      case .internalError: .critical
      case .error: .error
      case .warning: .warning
      case .info: .info
      case .verbose, .debug: .debug
      case .trace: .trace
      }
    return Logger(label: "trtllm-serve") { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level
      return MaskingLogHandler(handler, hiding: secrets)
    }
  }

  /// Names the weights by their digests, so that two servers of the same weights say the same.
  static func weightVersion(_ directory: FilePath) throws -> String {
    LiveWeights.name(of: try Lineage(directory: directory)?.ranks ?? [])
  }
}

extension UpstreamFlags {
  static let serve: [IgnoredFlag] = [
    IgnoredFlag("backend", "the engine says which target runs it"),
    IgnoredFlag("custom_tokenizer", "no code is loaded; give --tokenizer"),
    IgnoredFlag("custom_module_dirs", "no code is loaded"),
    IgnoredFlag("max_beam_width", "there is no beam search"),
    IgnoredFlag("tensor_parallel_size", "the engine says how many ranks it has"),
    IgnoredFlag("tp_size", "the engine says how many ranks it has"),
    IgnoredFlag("pipeline_parallel_size", "the engine says how many ranks it has"),
    IgnoredFlag("pp_size", "the engine says how many ranks it has"),
    IgnoredFlag("context_parallel_size", "the engine says how many ranks it has"),
    IgnoredFlag("cp_size", "the engine says how many ranks it has"),
    IgnoredFlag("moe_expert_parallel_size", "the engine says how many ranks it has"),
    IgnoredFlag("ep_size", "the engine says how many ranks it has"),
    IgnoredFlag("moe_cluster_parallel_size", "the engine says how many ranks it has"),
    IgnoredFlag("cluster_size", "the engine says how many ranks it has"),
    IgnoredFlag("gpus_per_node", "ranks of a CPU engine share one machine"),
    IgnoredFlag("num_postprocess_workers", "text is made beside the engine anyway"),
    IgnoredFlag("trust_remote_code", takesValue: false, "no code is loaded"),
    IgnoredFlag("revision", "models are directories here"),
    IgnoredFlag("config", "options are flags here"),
    IgnoredFlag("extra_llm_api_options", "options are flags here"),
    IgnoredFlag("reasoning_parser", "reasoning is not separated from text"),
    IgnoredFlag("tool_parser", "tool calls are not supported yet"),
    IgnoredFlag("metadata_server_config_file", "disaggregated serving is not supported"),
    IgnoredFlag("server_role", "disaggregated serving is not supported"),
    IgnoredFlag("disagg_cluster_uri", "disaggregated serving is not supported"),
    IgnoredFlag("fail_fast_on_attention_window_too_large", takesValue: false, "attention windows are checked when an engine is opened"),
    IgnoredFlag("otlp_traces_endpoint", "no traces are sent"),
    IgnoredFlag("enable_chunked_prefill", takesValue: false, "prompts are always read in parts"),
    IgnoredFlag("media_io_kwargs", "models read text only"),
  ]
}
