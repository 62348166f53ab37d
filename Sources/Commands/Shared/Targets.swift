import Backends
import Engines
import Execution
import Tensors

extension BackendRegistry {
  /// What this program runs on; `DRYDOCK_ISA` lowers what the processor offers.
  static let here = all(instructionSet: Environment["DRYDOCK_ISA"])
}

extension PlanTarget {
  /// Types of weights that it has kernels for, the one to take where nothing speaks for another first.
  var elementTypes: [ElementType] { [.bfloat16, .float16, .float32].filter { linearLayout($0) != nil } }
  /// `bfloat16`, or several as `bfloat16 or float16`.
  var elementTypeNames: String { elementTypes.map { $0.configName ?? $0.rawValue }.joined(separator: " or ") }
}
