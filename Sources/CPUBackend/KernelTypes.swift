import CPUKernels
import Networks
import Tensors

extension dk_type {
  init(_ type: ElementType) {
    switch type {
    case .float16: self = DK_F16
    case .bfloat16: self = DK_BF16
    default: self = DK_F32
    }
  }
}

extension dk_activation_kind {
  init(_ activation: Activation) {
    switch activation {
    case .silu: self = DK_SILU
    case .gelu: self = DK_GELU_ERF
    case .geluTanh: self = DK_GELU_TANH
    case .relu: self = DK_RELU
    }
  }
}

extension dk_rope_style {
  init(_ style: RotaryEmbedding.Style) {
    switch style {
    case .halves: self = DK_ROPE_HALVES
    case .pairs: self = DK_ROPE_INTERLEAVED
    }
  }
}

/// Memory of one owner, aligned for vector loads. Its bytes are whatever they were: a large buffer takes memory from
/// the system only as it is written to.
@safe final class AlignedBuffer: @unchecked Sendable {  // its users agree on who writes where
  let base: UnsafeMutableRawPointer
  let byteCount: Int

  init(byteCount: Int) {
    self.byteCount = byteCount
    unsafe base = .allocate(byteCount: max(64, byteCount), alignment: 64)
  }
  convenience init(floats: Int) { self.init(byteCount: floats * MemoryLayout<Float>.stride) }
  deinit { unsafe base.deallocate() }

  var floats: UnsafeMutablePointer<Float> { unsafe base.assumingMemoryBound(to: Float.self) }
}
