/// `W += scale · B·A` over a tile.
enum LowRankUpdate {
  /// Columns worked on at a time: an accumulator row and a block of A stay in the first two cache levels.
  private static let block = 1024

  /// Adds to each row i of `weights`: `scale * Σ_k up[i, k] * down[k, :]`, summed over k from 0 on in float32, scaled,
  /// then added. The order is fixed, so a result does not depend on tiles, threads or machine.
  ///
  /// - Parameters:
  ///   - weights: `[rows, columns]`, packed.
  ///   - up: `[rows, rank]`, packed.
  ///   - down: `[rank, stride]`; the update uses `columns` of them from the pointer on.
  static func add(
    to weights: UnsafeMutablePointer<Float>, rows: Int, columns: Int, up: UnsafePointer<Float>, rank: Int,
    down: UnsafePointer<Float>, stride: Int, scale: Float
  ) {
    unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: block) { buffer in
      guard let sum = buffer.baseAddress else { return }
      var first = 0
      while first < columns {
        let count = min(block, columns - first)
        for row in 0..<rows {
          let b = unsafe up + row * rank
          for column in 0..<count { unsafe sum[column] = 0 }
          var k = 0
          while k + 4 <= rank {
            let (b0, b1, b2, b3) = unsafe (b[k], b[k + 1], b[k + 2], b[k + 3])
            let a0 = unsafe down + k * stride + first
            let a1 = unsafe a0 + stride
            let a2 = unsafe a1 + stride
            let a3 = unsafe a2 + stride
            for column in 0..<count {
              unsafe sum[column] = sum[column] + b0 * a0[column] + b1 * a1[column] + b2 * a2[column] + b3 * a3[column]
            }
            k += 4
          }
          while k < rank {
            let bk = unsafe b[k]
            let a = unsafe down + k * stride + first
            for column in 0..<count { unsafe sum[column] = sum[column] + bk * a[column] }
            k += 1
          }
          let w = unsafe weights + row * columns + first
          for column in 0..<count { unsafe w[column] = w[column] + scale * sum[column] }
        }
        first += count
      }
    }
  }
}
