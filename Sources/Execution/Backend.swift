public import Engines
public import SystemPackage
public import Tensors

/// How an engine is opened, on whatever target.
public struct ExecutorOptions: Sendable {
  /// Host threads for all ranks together; nil: one for each core.
  public var threadCount: Int?
  /// Most token rows in one step: prompts are cut into chunks of it.
  public var maximumBatchRows = 512
  /// Most sequences in one step.
  public var maximumSequences = 16
  /// Longest sequence; nil: what the engine was built for.
  public var maximumSequenceLength: Int?
  /// Most bytes for keys and values of all sequences, over all ranks. Never more than the longest sequences can fill are
  /// taken, and never less than one of them needs. nil: `cacheMemoryFraction` alone counts.
  public var cacheByteCount: Int?
  /// Share for keys and values, above 0 and at most 1, of the memory that is free beside the weights; with
  /// `cacheByteCount` the smaller of both counts. nil: a half, unless that is given.
  public var cacheMemoryFraction: Double?
  /// What is kept free, for other weights beside those in use, of a device's memory.
  public var weightRoom = WeightRoom.none
  /// Whether what the engine carries for its target is used, such as compiled kernels: machine code, as trustworthy as who built the
  /// engine. Otherwise the target makes it again.
  public var usesArtifacts = true
  /// The values above: no limit of its own on sequences' length, and a half of the free memory for the cache.
  public init() {}
}

/// How much of a device's memory is kept for versions of weights beside the engine's. The cache gets what is left, but always
/// what one sequence needs.
public enum WeightRoom: Sendable, Hashable {
  /// Nothing is kept for them.
  case none
  /// As much as the engine's weights take.
  case oneCopy
  /// So many bytes of the device's memory.
  case bytes(Int)
}

/// An engine that a back end has opened: steps are computed, and weights replaced, until it is let go.
public protocol OpenedEngine: Executor, WeightStore {
  /// How keys and values are kept, the same on all ranks.
  var cacheElementType: ElementType { get }
  /// Bytes of keys and values when the cache is full, over all ranks.
  var cacheByteCount: Int { get }
  /// What the cache may take of memory that others may need, as found when the engine was opened; a line each.
  var memoryWarnings: [String] { get }
  /// Bytes a second at which the target reads weights at best, measured in about a tenth of a second; nil where that cannot be
  /// measured. Not during a step.
  func measureReadRate() -> Double?
}

/// What is asked of a target when engines are planned for it.
public struct TargetOptions: Sendable, Equatable {
  /// Host threads that inference will use; nil: one for each core.
  public var threadCount: Int?
  /// Devices that an engine carries compiled kernels for, in the target's words, such as `90a`; nil: as the target would; empty: none.
  public var architectures: [String]?
  public init(threadCount: Int? = nil, architectures: [String]? = nil) {
    (self.threadCount, self.architectures) = (threadCount, architectures)
  }
}

/// One target's way to plan and run engines. A new target is a folder with one of these, and a line in the registry.
public protocol Backend: Sendable {
  /// The `target` of the plans that it runs, such as `cpu`.
  var target: String { get }
  /// This machine as far as plans depend on it: engines kept for another are not used here.
  var machine: String { get }
  /// What the planner asks.
  ///
  /// - Parameter options: In which the target finds no ``problems(in:)``.
  func planTarget(_ options: TargetOptions) -> any PlanTarget
  /// What the target cannot do of what is asked, a line each.
  func problems(in options: TargetOptions) -> [String]
  /// Whether this machine has the memory for engines of these plans, which need not be there yet.
  ///
  /// - Throws: `EngineError`, about `path`.
  func checkMemory(for plans: [Plan], options: ExecutorOptions, path: FilePath) throws(EngineError)
  /// - Parameter engine: Of plans for ``target``.
  /// - Throws: `EngineError` for a stripped engine, a plan beyond the target's limits, and where memory does not suffice.
  func open(_ engine: EngineDirectory, options: ExecutorOptions) throws -> any OpenedEngine
}

extension Backend {
  /// What the planner asks, with the target's own choices.
  ///
  /// - Parameter threadCount: Host threads that inference will use; nil: one for each core.
  public func planTarget(threadCount: Int?) -> any PlanTarget { planTarget(TargetOptions(threadCount: threadCount)) }
  /// For a target that compiles no kernels.
  public func problems(in options: TargetOptions) -> [String] {
    options.architectures == nil ? [] : ["--cuda_arch is given, and an engine for --target \(target) carries no compiled kernels: leave it out"]
  }
}
