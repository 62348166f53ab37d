import CUDAKernels

/// How `dk_linear_row` computes a product of one row: changes speed, never results.
///
/// The numbers are those that were fastest on an H100 for the shapes of models of 1 and 8 billion weights. Where a block has little to
/// read its ring is small, so that the next kernel's block fits beside it and reads while this one waits for its input.
package struct RowProductShape: Equatable {
  package let kernel: String
  /// Panels, or pairs of them, of a block at a time.
  package let own: Int
  package let stages: Int
  /// Stages on their way at any time, and before the input is there.
  package let window = 2
  package let early = 1
  package let sharedMemory: Int

  package static let threads = 32 * (Int(DK_CUDA_ROW_WARPS) + 1)
  package static let kernels = ["dk_linear_row_32", "dk_linear_row_gated_16"]
  /// What a kernel is allowed to use, where the card has so much.
  package static let mostSharedMemory = 208 << 10

  /// Whether the kernel can compute it.
  package static func fits(inputs: Int, outputs: Int, isGated: Bool, isNormed: Bool) -> Bool {
    inputs % 16 == 0 && outputs % (isGated ? 32 : 2) == 0 && inputs <= (isNormed ? Int(DK_CUDA_ROW_NORM_INPUTS) : 32768)
  }

  /// - Parameters:
  ///   - panels: Of 16 outputs; with `isGated` of one half.
  ///   - sharedMemory: Bytes that a block may have.
  package init(panels: Int, inputs: Int, isGated: Bool, multiprocessors: Int, sharedMemory limit: Int) {
    let each = (panels + multiprocessors - 1) / multiprocessors, run = (isGated ? 2 * 16 : 32) * 512
    let wanted =
      if isGated { each <= 4 ? 138 : 208 } else if each == 1 { inputs <= 2048 ? 72 : 86 } else { each * inputs <= 2 * 2048 ? 104 : 208 }
    let before = 1024 + (inputs * 2 + 127) / 128 * 128
    let memory = min(wanted << 10, limit, Self.mostSharedMemory)
    var own = isGated ? (each > 4 ? 4 : min(2, each)) : min(3, each)
    while own > 1 && (memory - before) / (own * run) < 3 { own -= 1 }
    self.own = own
    stages = min(32, max(2, (memory - before) / (own * run)))
    sharedMemory = before + stages * own * run
    kernel = Self.kernels[isGated ? 1 : 0]
  }
}
