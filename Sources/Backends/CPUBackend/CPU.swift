public import Engines
public import Execution
import Files
public import SystemPackage

/// The processor of this machine as a target.
public struct CPU: Backend {
  static let name = "cpu"
  private let instructionSet: InstructionSet

  /// - Parameter instructionSet: Lowers what the processor offers; see ``InstructionSet/detect(environment:)``.
  public init(instructionSet: String? = nil) { self.instructionSet = InstructionSet.detect(environment: instructionSet) }

  /// `cpu`.
  public var target: String { Self.name }
  /// See ``InstructionSet/name``.
  public var machine: String { instructionSet.name }

  /// Measures with as many threads as there are processors unless a number is given.
  public func planTarget(_ options: TargetOptions) -> any PlanTarget { CPUTarget(instructionSet, threadCount: options.threadCount ?? Processors.count) }

  public func checkMemory(for plans: [Plan], options: ExecutorOptions, path: FilePath) throws(EngineError) {
    _ = try EngineSizes(plans, options: options, path: path)
  }

  /// Maps the files: weights are used where they lie.
  public func open(_ engine: EngineDirectory, options: ExecutorOptions) throws -> any OpenedEngine {
    try CPUEngine(engine, options: options, instructionSet: instructionSet)
  }
}
