import CPUKernels
import Schemes
import Tensors

/// Finds values that are no numbers.
enum NonFinite {
  /// How many elements are NaN or infinite; of numbers in fewer bits, how many rows.
  ///
  /// - Parameter bytes: A tile of the weight as it is stored.
  static func count(_ bytes: UnsafeRawBufferPointer, _ program: RecipeProgram) -> Int {
    switch program.scheme {
    case .plain(let type): unsafe count(bytes, type)
    // An encoded row holds it as a whole.
    default: unsafe program.scheme.coding?.nonFiniteRows(bytes, columns: program.columns) ?? 0
    }
  }

  private static func count(_ bytes: UnsafeRawBufferPointer, _ type: ElementType) -> Int {
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
