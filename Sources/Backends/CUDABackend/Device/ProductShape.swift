import CUDAKernels

/// Which kernel computes a product of few rows, and how it is shared out: changes speed, never results.
///
/// The numbers are those that were fastest on an H100 for the shapes of models of 1 and 8 billion weights.
struct ProductShape: Equatable {
  let kernel: String
  let blocks: Int
  let threads: Int
  /// Of a ring of weights, and how many are asked for before the input is there.
  let stages: Int
  let early: Int
  /// Bytes of a block. More than the ring needs keeps blocks from sharing a multiprocessor: too many requests under way delay
  /// the ones that others wait for.
  let sharedMemory: Int

  /// Names of the kernels that a card can be given.
  static func kernels(_ device: Device) -> [String] {
    device.hasRunCopies
      ? ["dk_linear_ring_1_8", "dk_linear_ring_1_16", "dk_linear_ring_2_16", "dk_linear_gated_1_8", "dk_linear_gated_2_8"]
      : [1, 2, 4, 8].map { "dk_linear_chain_\($0)" }
  }

  /// - Parameters:
  ///   - panels: Of 16 outputs.
  ///   - rows: From 1 to `DK_CUDA_CHAIN_ROWS`.
  init(panels: Int, rows: Int, _ device: Device) {
    self.init(panels: panels, rows: rows, multiprocessors: device.multiprocessors, hasRunCopies: device.hasRunCopies)
  }

  init(panels: Int, rows: Int, multiprocessors: Int, hasRunCopies: Bool) {
    let each = Double(panels) / Double(multiprocessors)
    blocks = panels
    guard hasRunCopies else {
      (kernel, threads, stages, early) = ("dk_linear_chain_\(rows <= 8 ? 1 : rows <= 16 ? 2 : rows <= 32 ? 4 : 8)", 32, 4, 0)
      sharedMemory = 4 * Int(DK_CUDA_STAGE_BYTES)
      return
    }
    var (groups, tiles, stages, leastMemory) = (1, 16, 2, each < 6 ? 48 << 10 : 0)
    switch rows {
    case ...8 where (8..<32).contains(each): (tiles, stages, leastMemory) = (8, 3, 24 << 10)
    case ...8: (stages, leastMemory) = (3, 32 << 10)
    case ...16: break
    case ...32: groups = 2
    default: (groups, leastMemory) = (each < 6 ? 1 : 2, 0)
    }
    kernel = "dk_linear_ring_\(groups)_\(tiles)"
    threads = 32 * ((rows + 8 * groups - 1) / (8 * groups))
    self.stages = stages
    early = stages - 1
    sharedMemory = max(leastMemory, 128 + stages * tiles * 512)
  }

  /// Of a product whose halves become an activation times a factor; see `dk_linear_gated_arguments`.
  ///
  /// - Parameter panels: Of one half.
  init(gatedPanels panels: Int, rows: Int) {
    let groups = rows <= 16 ? 1 : 2
    kernel = "dk_linear_gated_\(groups)_8"
    blocks = panels
    threads = 32 * ((rows + 8 * groups - 1) / (8 * groups))
    stages = rows <= 16 ? 3 : 2
    early = stages - 1
    sharedMemory = max(rows <= 32 ? 48 << 10 : 0, 128 + stages * 2 * 8 * 512)
  }
}
