import Files
public import SystemPackage
public import Tensors
public import Threads

/// A directory of engines that were built on the way, to run or serve a model at once the next time.
///
/// An engine stands under a digest of its model's files and of whatever else decides what it holds, so a model that
/// changed gets another. Any number of processes may use one cache: one builds an engine while the others wait for it,
/// it appears complete or not at all, and none that is in use is removed to make room.
public struct EngineCache: Sendable {
  /// Made when something is built, with what is missing above it, for its owner alone.
  public let directory: FilePath
  /// Bytes that all engines together may take; nil: a fifth of what is free and what they take, but always one.
  public let limit: Int?

  static let prefix = "engine-"

  /// Looks at nothing and makes nothing.
  public init(directory: FilePath, limit: Int? = nil) {
    self.directory = directory
    self.limit = limit
  }

  /// Which engine is wanted, beside the builder's options.
  public struct Request: Sendable {
    /// A Hugging Face directory, a GGUF file or a checkpoint.
    public var model: FilePath
    /// nil: as the model is published.
    public var elementType: ElementType?
    /// The instruction set that kernels are chosen for.
    public var machine: String
    /// - Parameter machine: `Backend.machine`: engines of another are not taken.
    public init(model: FilePath, elementType: ElementType? = nil, machine: String) {
      self.model = model
      self.elementType = elementType
      self.machine = machine
    }
  }

  /// What happens on the way to an engine, as it happens.
  public enum Event: Sendable {
    /// Another process is building the engine.
    case waiting
    /// The engine that was there is not used, for this reason.
    case broken(reason: String)
    /// The engine that was not used for longest was removed to make room.
    case removed(FilePath, byteCount: Int)
    /// What the model's files gave cause to say: once for an engine, built now or found.
    case warnings(Lineage.Warnings)
    /// An engine of so many bytes is being built there.
    case building(FilePath, byteCount: Int)
    /// It was built there.
    case built(FilePath, EngineBuilder.Result)
    /// It was there.
    case found(FilePath)
  }

  /// Where the engine is or would be.
  public func path(of request: Request, builder: EngineBuilder) throws -> FilePath {
    directory.appending(Self.prefix + (try EngineCacheKey.of(request, target: builder.target.name, options: builder.options)))
  }

  /// Runs a build, and shows how far it is.
  public typealias Show = (ProgressCounter, @escaping @Sendable () async throws -> EngineBuilder.Result) async throws -> EngineBuilder.Result

  /// The engine of a model, built unless it is there.
  ///
  /// - Parameter open: Opens the model; called only to build.
  /// - Throws: ``EngineCacheError``, and whatever is wrong with the model.
  public func engine(
    _ request: Request, builder: EngineBuilder, report: (Event) -> Void, show: Show = { try await $1() }, open: () throws -> BuildSource
  ) async throws -> CachedEngine {
    let path = try path(of: request, builder: builder)
    do {
      return try await engine(at: path, builder: builder, report: report, show: show, open: open)
    } catch let error as FileError where isOurs(error.path) {
      throw EngineCacheError(directory, .file(error))
    }
  }

  private func engine(
    at path: FilePath, builder: EngineBuilder, report: (Event) -> Void, show: Show, open: () throws -> BuildSource
  ) async throws -> CachedEngine {
    var isWaiting = false
    while true {
      if let engine = try CachedEngine(path, broken: { _ in }) { return used(engine, report) }
      try CacheDirectory.make(directory)
      guard let work = try ExclusiveWork.begin(Self.work(on: path)) else {
        if !isWaiting { report(.waiting) }
        isWaiting = true
        try await Task.sleep(for: .milliseconds(100))
        continue
      }
      defer { work.end() }
      // Another process may have built it before this one had its turn.
      if let engine = try CachedEngine(path, broken: { report(.broken(reason: $0)) }) { return used(engine, report) }
      return try await build(at: path, work, builder: builder, report: report, show: show, open: open)
    }
  }

  private func used(_ engine: CachedEngine, _ report: (Event) -> Void) -> CachedEngine {
    CacheDirectory.markUsed(engine.path)
    if !engine.warnings.isEmpty { report(.warnings(engine.warnings)) }
    report(.found(engine.path))
    return engine
  }

  private func build(
    at path: FilePath, _ work: ExclusiveWork, builder: EngineBuilder, report: (Event) -> Void, show: Show, open: () throws -> BuildSource
  ) async throws -> CachedEngine {
    CacheDirectory.sweep(directory)
    let source = try open()
    let prepared = try builder.prepare(source)
    guard !prepared.isStripped else {
      throw EngineError(source.path, .source(reason: "this checkpoint is pruned: it has no weights to run. Name the whole one."))
    }
    let warnings = prepared.allWarnings(of: source)
    if !warnings.isEmpty { report(.warnings(warnings)) }
    _ = try CacheDirectory.remove(path, evenIfUsed: true)  // what is broken
    try await makeRoom(for: prepared.fileByteCount, work, report: report)
    report(.building(path, byteCount: prepared.byteCount))
    let progress = ProgressCounter(total: prepared.byteCount)
    let result = try await show(progress) { try await builder.write(prepared, of: source, to: path, progress: progress) }
    // It is not removed meanwhile: that takes the lock of the work on it, which is held here until it is in use.
    guard let engine = try CachedEngine(path, broken: { _ in }) else { throw EngineCacheError(directory, .lost) }
    report(.built(path, result))
    return engine
  }

  /// Whether a path lies in the cache, however that is spelt.
  private func isOurs(_ path: FilePath) -> Bool {
    path.starts(with: directory) || directory.starts(with: path) || ((try? Directory.resolve(directory)).map { path.starts(with: $0) } ?? false)
  }
}
