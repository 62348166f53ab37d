import CPUKernels
import Tensors

/// Finds values that are no numbers.
enum NonFinite {
  /// How many elements are NaN or infinite; 0 for types that cannot be.
  ///
  /// - Parameter bytes: Elements of `type`, in any order, so packed panels will do.
  static func count(_ bytes: UnsafeRawBufferPointer, _ type: ElementType) -> Int {
    let kernelType: dk_type
    switch type {
    case .bfloat16: kernelType = DK_BF16
    case .float16: kernelType = DK_F16
    case .float32: kernelType = DK_F32
    default: return 0
    }
    return unsafe Int(dk_count_nonfinite(dk_best_isa(), bytes.baseAddress, kernelType, Int64(bytes.count * 8 / type.bitWidth)))
  }
}
