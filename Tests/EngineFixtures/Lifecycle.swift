import CPUBackend
package import Engines
package import SystemPackage
package import Tensors
package import TestSupport
package import Testing
package import WeightSources

/// The operations of an engine's life, on directories below one temporary directory.
package struct Lifecycle: Sendable {
  package let directory = TemporaryDirectory(inMemory: true)
  /// Tactics differ from run to run where nothing says otherwise: that is what timing caches are for.
  package var target: any PlanTarget

  /// - Parameter target: nil: this machine's processor, on which tactics are measured.
  package init(target: (any PlanTarget)? = nil) { self.target = target ?? CPUTarget(threadCount: 2) }

  @discardableResult
  package func build(
    _ checkpoint: FilePath, _ name: String, strip: Bool = false, scope: RefitScope = .standard, cache: ElementType? = nil,
    timingCache: TimingCache = .init()
  ) async throws -> EngineBuilder.Result {
    var options = EngineBuilder.Options()
    options.strip = strip
    options.scope = scope
    options.cacheElementType = cache
    options.timingCache = timingCache
    options.workers = 2
    let builder = EngineBuilder(options: options, target: target)
    let opened = try BuildSource(checkpoint)
    return try await builder.write(try builder.prepare(opened), of: opened, to: directory(name))
  }

  package func refit(_ engine: String, with source: FilePath, to name: String, ignoresFrozen: Bool = false) async throws {
    try await refit(engine, with: SourceRequest(source), to: name, ignoresFrozen: ignoresFrozen)
  }
  package func refit(_ engine: String, with request: SourceRequest, to name: String, ignoresFrozen: Bool = false) async throws {
    let opened = try EngineDirectory(directory(engine))
    var options = Refitter.Options()
    options.workers = 2
    options.ignoresFrozen = ignoresFrozen
    let refitter = Refitter(engine: opened, options: options)
    let source = try RefitSource(request, for: opened)
    try await refitter.write(try await refitter.prepare(source), from: source, to: directory(name))
  }

  package func strip(_ engine: String, to name: String) async throws {
    try await Refitter(engine: try EngineDirectory(directory(engine))).strip(to: directory(name))
  }

  /// Rank files of an engine, byte for byte.
  package func rankFiles(_ name: String) -> [String: [UInt8]] {
    snapshot(directory(name)).filter { $0.key.hasSuffix(".engine") }
  }

  package func expectSame(_ one: String, _ other: String, _ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation) {
    let (left, right) = (rankFiles(one), rankFiles(other))
    #expect(!left.isEmpty && left.keys.sorted() == right.keys.sorted(), comment, sourceLocation: sourceLocation)
    for (name, bytes) in left { #expect(bytes == right[name], "\(comment): \(name)", sourceLocation: sourceLocation) }
  }
}
