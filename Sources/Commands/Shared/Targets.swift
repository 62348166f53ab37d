import Backends
import Execution

extension BackendRegistry {
  /// What this program runs on; `DRYDOCK_ISA` lowers what the processor offers.
  static let here = all(instructionSet: Environment["DRYDOCK_ISA"])
}
