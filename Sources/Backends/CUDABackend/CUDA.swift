public import Engines
public import Execution
public import SystemPackage

/// An NVIDIA card as a target.
public struct CUDA: Backend {
  static let name = "cuda"
  private let kernels: KernelCache
  private let making: MakingSizes
  /// Kernels that an engine does not carry for the card are compiled when it is opened, and kept in `drydock/kernels` of the user's cache directory.
  public init() { self.init(kernels: .ofUser) }
  package init(kernels: KernelCache, making: MakingSizes = MakingSizes()) { (self.kernels, self.making) = (kernels, making) }

  public var target: String { Self.name }
  public var machine: String { Self.name }
  /// Engines carry kernels for the card here, else for compute capability 9.0, where nobody says.
  public func planTarget(_ options: TargetOptions) -> any PlanTarget {
    CUDATarget(kernels: KernelArtifacts(architectures: options.architectures.map(CUDAArchitectures.names), cache: kernels))
  }
  public func problems(in options: TargetOptions) -> [String] { CUDAArchitectures.problems(options.architectures ?? []) }

  /// Whether there is a card, and nothing else: how much memory it has free is known when an engine is opened.
  public func checkMemory(for plans: [Plan], options: ExecutorOptions, path: FilePath) throws(EngineError) {
    _ = try Self.device(for: path)
  }

  public func open(_ engine: EngineDirectory, options: ExecutorOptions) throws -> any OpenedEngine {
    try CUDAEngine(engine, options: options, kernels: kernels, making: making)
  }

  static func device(for path: FilePath) throws(EngineError) -> Device {
    do { return try Device() } catch {
      throw EngineError(path, .unsupported(reason: "cannot be run here: \(error)"))
    }
  }
}
