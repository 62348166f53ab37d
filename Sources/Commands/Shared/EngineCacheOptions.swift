import ArgumentParser
import Checkpoints
import Execution
import Engines
import Files
import SystemPackage
import Tensors
import Tokenizers
import WeightSources

/// Flags for engines that are built on the way.
struct EngineCacheOptions: ParsableArguments {
  @Option(
    name: .customLong("engine_cache"),
    help: ArgumentHelp(
      "Where the engine built of a model is kept for the next time; none: build none. $XDG_CACHE_HOME/drydock/engines or ~/.cache/drydock/engines by default.",
      valueName: "dir"))
  var directory: String?

  @Option(
    name: .customLong("engine_cache_size"),
    help: ArgumentHelp(
      "Most that engines kept there may take when another is built, such as 50GB; those not used for longest go. A fifth of the free space by default.",
      valueName: "size"))
  var size: ByteCount?

  @Option(
    help: ArgumentHelp(
      "Type of the weights of an engine built of a model: auto, float16, bfloat16 or float32. auto: as published, but float32 becomes float16 and quantised blocks bfloat16.",
      valueName: "type"))
  var dtype: String?

  @Option(name: .customLong("kv_cache_dtype"), help: KeyValueCacheType.help)
  var keyValueCacheType: KeyValueCacheType = .auto

  /// What is wrong with the values.
  var problems: [String] {
    var problems: [String] = []
    do { _ = try ConversionOptions.elementType(dtype) } catch { problems.append("\(error)") }
    if directory == "" { problems.append("--engine_cache is empty; name a directory, or none") }
    if directory == "none", size != nil {
      problems.append("--engine_cache_size has no effect beside --engine_cache none, which keeps no engines: leave one of them out")
    }
    if size?.count == 0 { problems.append("--engine_cache_size is 0; give --engine_cache none to keep no engines") }
    return problems
  }

  /// - Throws: ``UsageError`` where nothing says where.
  func cache() throws -> EngineCache {
    EngineCache(directory: try directory.map { FilePath($0) } ?? Self.defaultDirectory(), limit: size?.count)
  }

  private static func defaultDirectory() throws -> FilePath {
    // By the standard, a path that is not absolute is to be ignored.
    if let base = Environment["XDG_CACHE_HOME"].map({ FilePath($0) }), base.isAbsolute { return base.appending("drydock/engines") }
    guard let home = Environment["HOME"].map({ FilePath($0) }), home.isAbsolute else {
      throw UsageError("neither XDG_CACHE_HOME nor HOME says where engines are to be kept: name a directory with --engine_cache")
    }
    return home.appending(".cache/drydock/engines")
  }
}

/// An engine to run: the one that a path leads to, or the one built of the model there.
struct UsedEngine {
  let path: FilePath
  /// What the model is called where no option says otherwise.
  let modelName: String
  /// As it was given.
  private let given: String
  private let cached: CachedEngine?

  /// What of an engine matters to who runs it.
  struct Wanted {
    /// 0 for no more than builds provide for anyway.
    var batchSize = 0
    var tokens = 0
    var threads: Int?
    /// How the engine will be opened.
    var opening: ExecutorOptions
    /// Whether the model's own sampling settings are used.
    var usesGenerationConfig: Bool
    /// The flag that names another tokenizer, and whether it was given.
    var tokenizerFlag: String
    var hasTokenizer: Bool
  }

  /// - Throws: ``UsageError`` for flags that the path's engine does not fit.
  init(_ model: String, options: EngineCacheOptions, wanted: Wanted, log: CommandLog) async throws {
    // What the path leads to: the cache must tell one snapshot, or one file of a directory, from another.
    given = model
    let found = try FoundSource(at: FilePath(model), for: .run)
    let path = found.path
    var said: Set<String> = []
    func say(_ warnings: [String]) { log.warnings(warnings.filter { said.insert($0).inserted }) }
    say(found.warnings.map(\.description))
    let type = try ConversionOptions.elementType(options.dtype)
    if found.kind == .engine {
      self.path = path
      modelName = try Self.directoryName(model)
      cached = nil
      options.tellUnused(by: model, log)
      if let type, let found = try? EngineDirectory(path).pretrained.elementType, found != type {
        throw UsageError("--dtype is \(options.dtype ?? ""), but \(model) is an engine of \(found.configName ?? ""): leave it out, or name the model")
      }
      if let type = options.keyValueCacheType.elementType, let found = try? EngineDirectory(path).cacheElementType, found != type {
        throw UsageError("--kv_cache_dtype is \(options.keyValueCacheType), but \(model) is an engine that keeps \(found.configName ?? ""): leave it out, or name the model")
      }
      return
    }
    guard options.directory != "none" else {
      throw UsageError("--engine_cache is none, and \(model) is a model: build an engine of it with trtllm-build, and name that")
    }
    modelName = try Self.name(ofModel: found.kind == .huggingFace ? path.string : model)
    cached = try await Self.build(path, try options.cache(), type, options.keyValueCacheType.elementType, wanted, log, say)
    self.path = cached?.path ?? path
  }

  func end() { cached?.end() }

  /// Errors of an engine of the cache name the path that was given: the other one says nothing to people.
  func told<R>(_ body: () throws -> R) throws -> R {
    do { return try body() } catch let error as EngineError where cached != nil && error.path == path {
      throw EngineError(FilePath(given), error.problem)
    }
  }

  private static func build(
    _ model: FilePath, _ cache: EngineCache, _ type: ElementType?, _ cacheType: ElementType?, _ wanted: Wanted, _ log: CommandLog,
    _ say: ([String]) -> Void
  ) async throws -> CachedEngine {
    var options = EngineBuilder.Options()
    options.maximumBatchSize = max(options.maximumBatchSize, wanted.batchSize)
    options.maximumTokens = max(options.maximumTokens, wanted.tokens)
    options.cacheElementType = cacheType
    options.workers = Processors.workers(memory: Refitter.workerByteCount)
    let backend = BackendRegistry.here.standard
    let builder = EngineBuilder(options: options, target: backend.planTarget(threadCount: wanted.threads))
    let clock = ContinuousClock()
    let start = clock.now
    return try await cache.engine(
      EngineCache.Request(model: model, elementType: type, machine: backend.machine),
      builder: builder
    ) { event in
      switch event {
      case .waiting: log.info("another process is building the engine of \(model); waiting for it")
      case .broken(let reason): log.warning("the engine kept of \(model) is damaged and is built again: \(reason)")
      case .removed(let path, let bytes): log.info("removed \(path) (\(Format.bytes(bytes))), not used for longest, to make room")
      case .warnings(let warnings):
        let files = warnings.files.filter { !wanted.usesGenerationConfig || !SamplingDefaults.isAdvice($0) }
        say(warnings.model + (wanted.hasTokenizer ? [] : files))
      case .building(let path, let bytes):
        log.info("building an engine of \(model) (\(Format.bytes(bytes))) in \(path): once; it is reused next time")
      case .built(_, let result):
        log.warnings(result.warnings)
        for note in result.notes { log.info(note) }
        log.info("built the engine in \(Format.time(clock.now - start))")
      case .found(let path): log.verbose("using the engine \(path)")
      }
    } show: { progress, work in
      try await ProgressLine.show("building", progress, work)
    } open: {
      let source = try BuildSource(model, elementType: type)
      if source.kind == .checkpoint, let type, type != source.config.elementType {
        throw UsageError("--dtype is \(type.configName ?? ""), but \(model) is a checkpoint of \(source.config.elementType.configName ?? ""): leave it out, or name the model")
      }
      say(source.warnings.map(\.description))
      // What cannot be used is found before an hour's build, not after.
      if !wanted.hasTokenizer { try OpenedModel.checkTokenizer(of: source, flag: wanted.tokenizerFlag) }
      try backend.checkMemory(for: try builder.plans(source), options: wanted.opening, path: model)
      return source
    }
  }

  /// The directory's last component; of the directory itself where the path does not say, as `.` does not.
  static func directoryName(_ path: String) throws -> String {
    let written = FilePath(path).lexicallyNormalized()
    if let name = written.lastComponent, name.kind == .regular { return name.string }
    return try Directory.resolve(written.isEmpty ? "." : written).lastComponent?.string ?? path
  }

  /// The name of a directory or GGUF file without its ending; of Hugging Face's cache, whose directories have digests
  /// for names, the repository's.
  static func name(ofModel path: String) throws -> String {
    let name = try directoryName(path)
    if name.count >= 40, name.allSatisfy(\.isHexDigit), let known = ModelNames.inPath(FilePath(path).lexicallyNormalized()).first {
      return known.split(separator: "/").last.map(String.init) ?? name
    }
    if let part = PartName(gguf: name), !part.prefix.isEmpty { return part.prefix }
    return name.isGGUFName && name.count > 5 ? String(name.dropLast(5)) : name
  }
}
