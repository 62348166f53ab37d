import CUDAKernels

/// How `dk_linear_row` computes a product of few rows: changes speed, never results.
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
  package static let kernels = ["dk_linear_row_32", "dk_linear_row_gated_16", "dk_linear_rows_32", "dk_linear_rows_gated_16"]
  /// Most rows.
  package static let rows = 8
  /// What a kernel is allowed to use, where the card has so much.
  package static let mostSharedMemory = 208 << 10

  /// Whether the kernel can compute it, of one row or several; only of one it makes a norm itself.
  package static func fits(inputs: Int, outputs: Int, isGated: Bool, isNormed: Bool) -> Bool {
    inputs % 16 == 0 && outputs % (isGated ? 32 : 2) == 0 && inputs <= (isNormed ? Int(DK_CUDA_ROW_NORM_INPUTS) : 32768)
  }

  /// - Parameters:
  ///   - panels: Of 16 outputs; with `isGated` of one half.
  ///   - rows: To ``rows``.
  ///   - sharedMemory: Bytes that a block may have.
  package init(panels: Int, inputs: Int, rows: Int, isGated: Bool, multiprocessors: Int, sharedMemory limit: Int) {
    let each = (panels + multiprocessors - 1) / multiprocessors, tiles = isGated ? 16 : 32
    let run = (isGated ? 2 : 1) * tiles * 512, input = rows == 1 ? 0 : tiles * 256
    let wanted =
      if isGated { each <= 4 ? 138 : 208 } else if each == 1 { inputs <= 2048 ? 72 : 86 } else { each * inputs <= 2 * 2048 ? 104 : 208 }
    let before = 1024 + (rows == 1 ? (inputs * 2 + 127) / 128 * 128 : 0)
    let memory = min(wanted << 10, limit, Self.mostSharedMemory)
    var own = isGated ? (each > 4 ? 4 : min(2, each)) : min(3, each)
    while own > 1 && (memory - before) / (own * run + input) < 3 { own -= 1 }
    self.own = own
    stages = min(32, max(2, (memory - before) / (own * run + input)))
    sharedMemory = before + stages * (own * run + input)
    kernel = Self.kernels[(isGated ? 1 : 0) + (rows == 1 ? 0 : 2)]
  }
}
