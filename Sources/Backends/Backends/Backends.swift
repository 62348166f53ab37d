import CPUBackend
import CUDABackend
public import Execution

extension BackendRegistry {
  /// Every back end of this package: a new target is a line here.
  ///
  /// - Parameter instructionSet: Lowers what the processor offers (`portable`, `avx2`, `avx512`, `amx`); nil: all of it.
  public static func all(instructionSet: String? = nil) -> BackendRegistry {
    BackendRegistry([
      CPU(instructionSet: instructionSet),
      CUDA(),
    ])
  }
}
