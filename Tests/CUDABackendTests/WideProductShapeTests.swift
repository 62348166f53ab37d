import CUDABackend
import Testing

/// How products go to `dk_linear_wide`, which takes much for granted: see `dk_linear_wide_arguments`.
@Suite struct WideProductShapeTests {
  private func shape(_ outputs: Int, _ inputs: Int, rows: Int, isGated: Bool = false) -> WideProductShape? {
    WideProductShape(panels: (outputs + 15) / 16 / (isGated ? 2 : 1), rows: rows, inputs: inputs, isGated: isGated, multiprocessors: 132)
  }

  @Test func `every shape is one that the kernel can compute`() throws {
    let sizes = [(6144, 4096), (4096, 4096), (4096, 14336), (128_256, 4096), (3072, 2048), (576, 576), (200, 64), (17, 192)]
    var chosen: Set<String> = []
    for multiprocessors in [2, 7, 78, 132] {
      for (outputs, inputs) in sizes {
        for rows in Array(1...66) + [100, 128, 129, 255, 257, 1000, 2048] {
          for isGated in [false, true] {
            let panels = (outputs + 15) / 16
            guard let shape = WideProductShape(panels: panels, rows: rows, inputs: inputs, isGated: isGated, multiprocessors: multiprocessors) else {
              #expect(rows <= 64, "\(outputs) by \(inputs), \(rows) rows: nothing else is as fast")
              continue
            }
            chosen.insert(shape.kernel)
            try check(shape, inputs: inputs, rows: rows, isGated: isGated, multiprocessors: multiprocessors)
          }
        }
      }
    }
    #expect(chosen.count > 12)
  }

  private func check(_ shape: WideProductShape, inputs: Int, rows: Int, isGated: Bool, multiprocessors: Int) throws {
    #expect(WideProductShape.kernels.contains(shape.kernel))
    let numbers = shape.kernel.split(separator: "_").compactMap { Int($0) }
    try #require(numbers.count == 3)
    let (groups, tile, parts) = (numbers[0], numbers[1], numbers[2]), halves = isGated ? 2 : 1
    #expect(shape.kernel.contains("gated") == isGated && inputs % (64 * parts) == 0 && (rows > 64 || rows <= tile))
    #expect(shape.threads == 128 * groups + 128 && shape.own >= 1 && shape.own * halves <= 4 * groups)
    #expect(shape.blocks % 2 == 0 && shape.blocks >= 2 && shape.blocks <= multiprocessors)
    // A stage: 64 inputs of each row of a tile and each output, twice where it has two parts; barriers before them.
    let stage = parts * 64 * 2 * (tile + 16 * shape.own * halves) + (isGated ? 1024 : 0)
    #expect((2...16).contains(shape.stages) && (1...shape.stages).contains(shape.early) && (1...shape.stages).contains(shape.window) && 1024 + shape.stages * stage <= shape.sharedMemory)
    #expect(shape.sharedMemory <= WideProductShape.mostSharedMemory)
  }

  @Test func `few rows and odd widths are left to other kernels`() {
    #expect(shape(4096, 4096, rows: 4) == nil && shape(28672, 4096, rows: 8, isGated: true) == nil && shape(128_256, 4096, rows: 16) == nil)
    #expect(shape(4096, 4080, rows: 2048) == nil)
    #expect(WideProductShape(panels: 8, rows: 2048, inputs: 64, isGated: false, multiprocessors: 1) == nil)
  }

  @Test func `those that were measured are chosen as then`() throws {
    let qkv = try #require(shape(6144, 4096, rows: 16))
    #expect(qkv.kernel == "dk_linear_wide_1_16_2" && qkv.own == 3 && qkv.blocks == 128 && qkv.stages == 14 && qkv.early == 3 && qkv.window == 6)
    #expect(shape(28672, 4096, rows: 64, isGated: true)?.kernel == "dk_linear_wide_gated_4_64_1")
    #expect(shape(28672, 4096, rows: 2048, isGated: true)?.kernel == "dk_linear_wide_gated_2_256_1")
    #expect(shape(6144, 4096, rows: 65)?.kernel == "dk_linear_wide_2_64_2")
  }
}
