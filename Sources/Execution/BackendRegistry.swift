public import Engines

/// The back ends that a program has. They are found by the target that a plan names.
public struct BackendRegistry: Sendable {
  /// The first builds engines where no target is named.
  public let backends: [any Backend]

  /// - Precondition: There is one, and no two are for the same target.
  public init(_ backends: [any Backend]) {
    precondition(!backends.isEmpty && Set(backends.map(\.target)).count == backends.count, "one back end for each target")
    self.backends = backends
  }

  /// The first of ``backends``.
  public var standard: any Backend { backends[0] }
  /// The back end for a target such as `cpu`; nil where this program has none.
  public subscript(target: String) -> (any Backend)? { backends.first { $0.target == target } }

  /// Opens an engine by the back end that its plans are for.
  ///
  /// - Throws: `EngineError` where there is none here, or where it refuses the engine.
  public func open(_ engine: EngineDirectory, options: ExecutorOptions = .init()) throws -> any OpenedEngine {
    guard let first = engine.ranks.first else { throw EngineError(engine.path, .noEngine) }
    guard let backend = self[first.plan.target] else {
      let known = backends.map { "\"\($0.target)\"" }.joined(separator: ", ")
      throw EngineError(first.path, .unsupported(reason: "built for \"\(first.plan.target)\"; this program runs \(known) engines"))
    }
    return try backend.open(engine, options: options)
  }
}
