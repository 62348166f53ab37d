import CPUKernels
public import Engines
public import Networks
public import Schemes
public import Tensors

/// What this machine's kernels want of a plan.
public struct CPUTarget: PlanTarget {
  /// Decides which tactics there are, and what is measured.
  public let instructionSet: InstructionSet
  /// Threads that measurements use, as inference will.
  public let threadCount: Int

  /// Checks nothing: to measure with an instruction set that the machine lacks ends the process.
  public init(_ instructionSet: InstructionSet = .best, threadCount: Int) {
    self.instructionSet = instructionSet
    self.threadCount = threadCount
  }

  private var isa: dk_isa { instructionSet.kernels }

  /// `cpu`.
  public var name: String { CPU.name }
  /// `cpu amx-bf16 threads=8`: measured tactics hold for an instruction set and a number of threads.
  public var device: String { "cpu \(instructionSet.name) threads=\(threadCount)" }

  public func linearLayout(_ scheme: NumberScheme) -> WeightLayout? { CPULimits.layout(scheme) }
  /// Sizes beyond the kernels' limits, and weights in types or layouts that they do not read.
  public func obstacles(to plan: Plan) -> [String] { CPULimits.obstacles(to: plan) }
  /// Bfloat16, which takes half of the memory and of the time to read it. With float32 weights float32: who keeps those
  /// wants exact answers.
  public func cacheElementType(_ elementType: ElementType) -> ElementType { elementType == .float32 ? .float32 : .bfloat16 }

  public func hasKernels(for tactics: KernelTactics) -> Bool {
    TacticNames.decode(isa).contains(tactics.decode) && TacticNames.prefill(isa, dk_type(tactics.problem.scheme)).contains(tactics.prefill)
  }

  /// Times at most 4,096 outputs and 32,768 inputs in the place of a larger weight, one matrix of a stack; of equals the first wins.
  public func measure(_ problem: KernelProblem) -> KernelTactics {
    TacticMeasurement(isa: isa, threadCount: threadCount, problem: problem).run()
  }
}

/// The numbers behind tactic names, for an instruction set. A name that this machine does not have, from a plan built
/// on another, falls back to the first tactic: tactics change speed, never results.
enum TacticNames {
  static func decode(_ isa: dk_isa) -> [String] {
    (0..<dk_decode_tactic_count(isa)).map { unsafe dk_decode_tactic_name(isa, $0).map { unsafe String(cString: $0) } ?? "" }
  }
  static func prefill(_ isa: dk_isa, _ type: dk_type) -> [String] {
    (0..<dk_prefill_tactic_count(isa, type)).map {
      unsafe dk_prefill_tactic_name(isa, type, $0).map { unsafe String(cString: $0) } ?? ""
    }
  }
}
