import CUDAKernels

/// How `dk_linear_wide` computes a product on a card with `wgmma`: changes speed, never results.
///
/// The numbers are those that were fastest on an H100 for the shapes of models of 1 and 8 billion weights.
package struct WideProductShape: Equatable {
  package let kernel: String
  package let blocks: Int
  package let threads: Int
  /// Panels of a block; of each half, where the product is gated.
  package let own: Int
  package let stages: Int
  /// Of weights, that may be on their way before the input is there, and then: more keep others waiting for what they ask of memory.
  package let early: Int
  package let window: Int
  package let sharedMemory: Int

  /// Warp groups, rows of a tile, and 64s of inputs a stage.
  struct Tile: Hashable {
    let groups: Int
    let rows: Int
    let parts: Int
    /// What makes its kernels of linear_wide.cu.
    var definition: String { "WIDE(\(groups),\(rows),\(parts))" }
    var names: [String] { [name(isGated: false), name(isGated: true)] }
    fileprivate func name(isGated: Bool) -> String { "dk_linear_wide\(isGated ? "_gated" : "")_\(groups)_\(rows)_\(parts)" }
  }
  /// Of many rows, with what a tile took relative to the first.
  private static let large = [
    (Tile(groups: 2, rows: 256, parts: 1), 1.0), (Tile(groups: 2, rows: 128, parts: 2), 0.61), (Tile(groups: 2, rows: 64, parts: 2), 0.44),
  ]
  private static let small = [
    Tile(groups: 1, rows: 64, parts: 2), Tile(groups: 1, rows: 32, parts: 2), Tile(groups: 1, rows: 16, parts: 2), Tile(groups: 1, rows: 8, parts: 2),
    Tile(groups: 2, rows: 64, parts: 2), Tile(groups: 2, rows: 32, parts: 2), Tile(groups: 2, rows: 16, parts: 2),
    Tile(groups: 4, rows: 64, parts: 1), Tile(groups: 4, rows: 32, parts: 1), Tile(groups: 4, rows: 16, parts: 1),
  ]
  static let tiles: [Tile] = {
    var tiles = large.map(\.0)
    for tile in small where !tiles.contains(tile) { tiles.append(tile) }
    return tiles
  }()
  package static let kernels: [String] = tiles.flatMap(\.names)
  /// What a kernel is allowed to use.
  package static let mostSharedMemory = 227 << 10
  private static let windowByteCount = 72 << 10
  /// More than half of what a multiprocessor has: two blocks on one would be in each other's way.
  private static let leastSharedMemory = 116 << 10

  /// nil where another kernel is as fast or the only one.
  ///
  /// - Parameters:
  ///   - panels: Of 16 outputs; with `isGated` of one half, see `dk_linear_gated_arguments`.
  ///   - rows: Any number.
  package init?(panels: Int, rows: Int, inputs: Int, isGated: Bool, multiprocessors: Int) {
    let pairs = multiprocessors / 2  // of blocks, which run together
    guard inputs % 64 == 0, pairs > 0 else { return nil }
    let halves = isGated ? 2 : 1
    let tile: Tile
    if rows > Int(DK_CUDA_CHAIN_ROWS) {
      func rounds(_ tile: Tile) -> Int { (Self.units(panels, 8 / halves) * ((rows + tile.rows - 1) / tile.rows) + pairs - 1) / pairs }
      var best = Self.large[0], least = Double.infinity
      for candidate in Self.large where inputs % (64 * candidate.0.parts) == 0 {
        let cost = Double(rounds(candidate.0)) * candidate.1
        if cost < least { (best, least) = (candidate, cost) }
      }
      (tile, own) = (best.0, 8 / halves)
    } else {
      let needed = (panels + 2 * pairs - 1) / (2 * pairs)
      // Rows that ordinary rings of weights serve as well.
      if rows <= 4 || rows <= 8 && (isGated || needed > 2) || rows <= 16 && needed > 16 { return nil }
      let groups = needed * halves <= 4 ? 1 : needed * halves <= 8 ? 2 : needed * halves <= 16 ? 4 : isGated ? 2 : 1
      let size = rows <= 8 ? 8 : rows <= 16 ? 16 : rows <= 32 ? 32 : 64
      guard let found = Self.small.first(where: { $0.groups == groups && $0.rows == size && inputs % (64 * $0.parts) == 0 }) else { return nil }
      (tile, own) = (found, min(needed, 4 * groups / halves))
    }
    kernel = tile.name(isGated: isGated)
    threads = 128 * tile.groups + 128
    blocks = 2 * min(pairs, Self.units(panels, own) * ((rows + tile.rows - 1) / tile.rows))
    let stage = (16 * own * halves + tile.rows) * 2 * 64 * tile.parts + (isGated ? 1024 : 0)
    stages = min(16, (Self.mostSharedMemory - 1024) / stage)
    sharedMemory = max(Self.leastSharedMemory, 1024 + stages * stage)
    if rows > Int(DK_CUDA_CHAIN_ROWS) {
      (early, window) = (min(4, stages), stages)
    } else {
      let weights = 16 * own * halves * 2 * 64 * tile.parts
      window = min(stages, max(2, (Self.windowByteCount + weights - 1) / weights))
      early = max(1, window / 2)
    }
  }

  /// What a pair of blocks takes at a time.
  private static func units(_ panels: Int, _ own: Int) -> Int { (panels + 2 * own - 1) / (2 * own) }
}
