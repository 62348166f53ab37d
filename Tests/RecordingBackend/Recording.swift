public import Engines
public import Execution
public import Networks
public import Schemes
public import SystemPackage
public import Tensors

/// A back end that needs no hardware and computes nothing: it checks every buffer, index and order that it is given, and
/// answers with a hash of all that a row depends on. What is wrong in a batch, a plan or a change of weights changes its answers,
/// or is told.
public struct Recording: Backend {
  public static let name = "recording"
  public init() {}

  public var target: String { Self.name }
  public var machine: String { "recording" }
  public func planTarget(_ options: TargetOptions) -> any PlanTarget { RecordingTarget() }
  public func checkMemory(for plans: [Plan], options: ExecutorOptions, path: FilePath) throws(EngineError) {}
  public func open(_ engine: EngineDirectory, options: ExecutorOptions) throws -> any OpenedEngine {
    try RecordingEngine(engine, options: options)
  }
}

/// Weights as the CPU has them, since plans know no other, and one kernel for all.
public struct RecordingTarget: PlanTarget {
  public init() {}
  public var name: String { Recording.name }
  public var device: String { "recording" }
  public func linearLayout(_ scheme: NumberScheme) -> WeightLayout? {
    scheme.coding?.layout ?? (scheme == .plain(.bfloat16) ? .panel16x2 : .panel16)
  }
  public func cacheElementType(_ elementType: ElementType) -> ElementType { elementType == .float32 ? .float32 : .bfloat16 }
  public func obstacles(to plan: Plan) -> [String] { [] }
  public func hasKernels(for tactics: KernelTactics) -> Bool { tactics.decode == "only" && tactics.prefill == "only" }
  public func measure(_ problem: KernelProblem) -> KernelTactics {
    KernelTactics(problem, decode: "only", prefill: "only")
  }
}

/// What was wrong with what the back end was given.
public struct Fault: Error, Equatable, Sendable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
func require(_ condition: Bool, _ what: @autoclosure () -> String) throws(Fault) {
  guard condition else { throw Fault(what()) }
}

/// A number that looks random and depends on every bit of what it is made from (splitmix64).
func mix(_ value: UInt64) -> UInt64 {
  var z = value &+ 0x9E37_79B9_7F4A_7C15
  z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
  z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
  return z ^ z >> 31
}
