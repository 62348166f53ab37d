import CUDAKernels
import Engines
import Execution
import Networks
import SystemPackage

/// How large steps and cache become on a card.
struct CUDASizes {
  let steps: StepSizes
  /// Rows times splits whose partial results of attention are kept at once.
  let partials: Int

  /// Of the memory that weights and buffers leave, for keys and values: the rest is for new weights beside those in use.
  private static let defaultFraction = 0.8

  init(_ plan: Plan, options: ExecutorOptions) {
    steps = StepSizes(plan.limits, options: options)
    partials = max(4096, Int(DK_CUDA_TILE_QUERIES) * StepInputs.splits(steps.sequenceLength))
  }

  /// Blocks of the cache: no more than all sequences can fill, no less than one needs.
  ///
  /// - Parameters:
  ///   - free: Bytes that are free beside weights and buffers.
  ///   - kept: Of them, for new weights; less where one sequence would not fit.
  func cacheBlocks(_ cache: CacheFormat, free: Int, kept: Int, options: ExecutorOptions, path: FilePath) throws(EngineError) -> Int {
    let perSequence = (steps.sequenceLength + Int(DK_CUDA_BLOCK_TOKENS) - 1) / Int(DK_CUDA_BLOCK_TOKENS)
    let block = cache.layers * cache.layerBlockByteCount
    let share = Int(Double(free) * (options.cacheMemoryFraction ?? Self.defaultFraction))
    let budget = min(options.cacheByteCount ?? .max, max(min(share, free - kept), min(share, perSequence * block)))
    guard block > 0 else { return perSequence * steps.sequences }
    guard budget / block >= perSequence else {
      let fitting = budget / block * Int(DK_CUDA_BLOCK_TOKENS)
      throw EngineError(
        path,
        .unsupported(
          reason: "Lower --max_seq_len to \(fitting), or give the cache more memory: keys and values of a sequence of \(steps.sequenceLength) tokens take "
            + "\(perSequence * block / 1_000_000) MB, and the cache may have \(budget / 1_000_000) MB of the card's."))
    }
    return min(perSequence * steps.sequences, budget / block, Int(Int32.max) / Int(DK_CUDA_BLOCK_TOKENS))
  }
}

extension CacheFormat {
  var paddedHeadSize: Int { (headSize + 15) / 16 * 16 }
  /// Bytes of one layer's block of tokens: keys and values in bfloat16.
  var layerBlockByteCount: Int { keyValueHeads * 2 * Int(DK_CUDA_BLOCK_TOKENS) * paddedHeadSize * 2 }
}

extension Plan {
  /// The one kind of cache, and the one rotary embedding, that the kernels take: see ``CUDALimits``.
  var cache: CacheFormat { caches.first ?? CacheFormat(layers: 0, keyValueHeads: 1, headSize: 1, elementType: .bfloat16) }
  var rotary: RotaryEmbedding? { rotaries.first }

  /// Bytes of each buffer for steps of so many rows: rows in float32, or packed in bfloat16. 0 where nothing uses it.
  func slotByteCounts(rows: Int, selected: Int) -> [Int] {
    zip(slots.widths, slotRows).map { width, kind in
      guard let kind else { return 0 }
      return max(4 * width * (kind == .tokens ? rows : selected), Self.packedByteCount(width, rows: kind == .tokens ? rows : selected))
    }
  }
  static func packedByteCount(_ width: Int, rows: Int) -> Int {
    var together = 8
    while together < min(rows, Int(DK_CUDA_PACKED_ROWS)) { together *= 2 }
    return 2 * ((width + 15) / 16 * 16) * ((rows + together - 1) / together * together)
  }
}
