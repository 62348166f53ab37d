import CPUKernels
import Networks
import Schemes
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

extension dk_type {
  init(_ scheme: NumberScheme) {
    switch scheme {
    case .plain(let type): self.init(type)
    case .int8PerOutput: self = DK_I8
    }
  }
  /// Whether prompts multiply it with inputs rounded to bfloat16.
  var takesRoundedInputs: Bool { self == DK_BF16 || self == DK_I8 }
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
