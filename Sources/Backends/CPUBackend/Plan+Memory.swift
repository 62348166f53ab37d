import CPUKernels
import Engines
import Networks
import Schemes

/// What a plan asks of memory beside its weights.
extension Plan {
  /// Bytes of the widest input of a linear layer, rounded to bfloat16.
  var roundedRowByteCount: Int {
    2 * Int(dk_rounded_stride(Int64(widestLinearInput)))
  }

  /// Bytes in which one thread expands a few panels of the widest weight in fewer bits; 0 where there is none.
  var expandedByteCount: Int {
    weights.values.filter { $0.layout != .rows }.map { Int(dk_prefill_scratch_bytes(dk_type($0.scheme), Int64($0.shape[1]))) }.max() ?? 0
  }

  /// Bytes of buffers for steps of so many rows. As a float, since nothing bounds the sum.
  func stepByteCount(rows: Int, selected: Int) -> Double {
    var sum = Double(roundedRowByteCount) * Double(rows) + (ExpertSizes(self)?.byteCount(rows: rows) ?? 0)
    for (width, kind) in zip(slots.widths, slotRows) {
      guard let kind else { continue }
      sum += 4 * Double(width) * Double(kind == .tokens ? rows : selected)
    }
    return sum
  }
}

extension Plan {
  /// Bytes of a block of tokens in all layers.
  var cacheBlockByteCount: Int { caches.reduce(0) { $0 + $1.layers * $1.blockByteCount } }
}

extension CacheFormat {
  /// Bytes of one layer's block of tokens.
  var blockByteCount: Int {
    var shape = unsafe dk_attention_shape(
      heads: Int32(keyValueHeads), kv_heads: Int32(keyValueHeads), head_dim: Int32(headSize), cache_type: dk_type(elementType), scale: 1,
      window: 0, soft_cap: 0, sinks: nil)
    return unsafe Int(dk_cache_block_bytes(&shape))
  }
}
