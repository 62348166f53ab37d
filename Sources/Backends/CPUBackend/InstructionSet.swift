package import CPUKernels

/// The instruction sets that kernels are written for, each more than the one before.
public enum InstructionSet: Int, Sendable, CaseIterable {
  /// Plain C: what every processor of the architecture has.
  case portable
  /// AVX2 and FMA.
  case avx2
  /// AVX-512 with its products of bfloat16.
  case avx512
  /// AVX-512 and tiles of bfloat16.
  case amx

  /// The most that the processor and the operating system offer.
  public static var best: InstructionSet { InstructionSet(dk_best_isa()) }

  /// The best, or what `DRYDOCK_ISA` lowers it to.
  ///
  /// - Parameter environment: `portable`, `avx2`, `avx512` or `amx`. What the machine does not have, and other words, are ignored.
  public static func detect(environment: String?) -> InstructionSet {
    let wanted = environment.flatMap { word in allCases.first { word == "\($0)" || word == $0.name } }
    return InstructionSet(rawValue: min((wanted ?? best).rawValue, best.rawValue)) ?? best
  }

  /// `portable`, `avx2`, `avx512-bf16` or `amx-bf16`: what devices and cached engines are told apart by.
  public var name: String {
    switch self {
    case .portable: "portable"
    case .avx2: "avx2"
    case .avx512: "avx512-bf16"
    case .amx: "amx-bf16"
    }
  }

  /// The kernels' name for it.
  package var kernels: dk_isa {
    switch self {
    case .portable: DK_PORTABLE
    case .avx2: DK_AVX2
    case .avx512: DK_AVX512
    case .amx: DK_AMX
    }
  }
  package init(_ kernels: dk_isa) { self = Self.allCases.first { $0.kernels == kernels } ?? .portable }
}
