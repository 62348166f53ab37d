public import CPUKernels

/// Which of the kernels' instruction sets to use.
public enum InstructionSet {
  /// The best that the processor and the operating system offer, or what `DRYDOCK_ISA` (`portable`, `avx2`, `avx512`,
  /// `amx`) lowers it to. A higher one than the machine has is ignored.
  public static func detect(environment: String?) -> dk_isa {
    let best = dk_best_isa()
    let wanted: dk_isa? =
      switch environment {
      case "portable": DK_PORTABLE
      case "avx2": DK_AVX2
      case "avx512", "avx512-bf16": DK_AVX512
      case "amx", "amx-bf16": DK_AMX
      default: nil
      }
    guard let wanted else { return best }
    return wanted.rawValue < best.rawValue ? wanted : best
  }

  /// `portable`, `avx2`, `avx512-bf16` or `amx-bf16`: what devices and cached engines are distinguished by.
  public static func name(_ isa: dk_isa) -> String {
    switch isa {
    case DK_AVX2: "avx2"
    case DK_AVX512: "avx512-bf16"
    case DK_AMX: "amx-bf16"
    default: "portable"
    }
  }
}
