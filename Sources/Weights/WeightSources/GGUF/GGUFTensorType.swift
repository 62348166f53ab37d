public import Tensors

/// How a GGUF tensor's numbers are stored: in blocks of `blockElements` that take `blockBytes`.
public struct GGUFTensorType: Sendable, Hashable {
  /// ggml's number for it.
  public let code: UInt32
  /// ggml's name, such as `Q4_K`.
  public let name: String
  /// Elements of a block; 1 where each stands alone.
  public let blockElements: Int
  /// Bytes of a block, scales included.
  public let blockBytes: Int

  /// The element type in which rows are delivered, or nil where the numbers cannot be read here.
  public var delivered: ElementType? {
    switch self {
    case .f32: .float32
    case .f16: .float16
    case .bf16: .bfloat16
    case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q4_K, .q5_K, .q6_K: .float32
    default: nil
    }
  }
  /// Whether elements stand alone, rather than sharing a scale with their block.
  public var isPlain: Bool { blockElements == 1 }

  init(_ code: UInt32, _ name: String, _ blockElements: Int, _ blockBytes: Int) {
    self.code = code
    self.name = name
    self.blockElements = blockElements
    self.blockBytes = blockBytes
  }

  package static let f32 = GGUFTensorType(0, "F32", 1, 4)
  package static let f16 = GGUFTensorType(1, "F16", 1, 2)
  package static let q4_0 = GGUFTensorType(2, "Q4_0", 32, 18)
  package static let q4_1 = GGUFTensorType(3, "Q4_1", 32, 20)
  package static let q5_0 = GGUFTensorType(6, "Q5_0", 32, 22)
  package static let q5_1 = GGUFTensorType(7, "Q5_1", 32, 24)
  package static let q8_0 = GGUFTensorType(8, "Q8_0", 32, 34)
  package static let q4_K = GGUFTensorType(12, "Q4_K", 256, 144)
  package static let q5_K = GGUFTensorType(13, "Q5_K", 256, 176)
  package static let q6_K = GGUFTensorType(14, "Q6_K", 256, 210)
  package static let bf16 = GGUFTensorType(30, "BF16", 1, 2)

  /// Every type that GGUF v3 defines, so that one that cannot be read is at least refused by name.
  static let all: [UInt32: GGUFTensorType] = {
    let types = [
      f32, f16, q4_0, q4_1, q5_0, q5_1, q8_0, q4_K, q5_K, q6_K, bf16,
      .init(9, "Q8_1", 32, 40), .init(10, "Q2_K", 256, 84), .init(11, "Q3_K", 256, 110), .init(15, "Q8_K", 256, 292),
      .init(16, "IQ2_XXS", 256, 66), .init(17, "IQ2_XS", 256, 74), .init(18, "IQ3_XXS", 256, 98), .init(19, "IQ1_S", 256, 50),
      .init(20, "IQ4_NL", 32, 18), .init(21, "IQ3_S", 256, 110), .init(22, "IQ2_S", 256, 82), .init(23, "IQ4_XS", 256, 136),
      .init(24, "I8", 1, 1), .init(25, "I16", 1, 2), .init(26, "I32", 1, 4), .init(27, "I64", 1, 8), .init(28, "F64", 1, 8),
      .init(29, "IQ1_M", 256, 56), .init(34, "TQ1_0", 256, 54), .init(35, "TQ2_0", 256, 66), .init(39, "MXFP4", 32, 17),
      .init(40, "NVFP4", 64, 36), .init(41, "Q1_0", 128, 18),
    ]
    return Dictionary(uniqueKeysWithValues: types.map { ($0.code, $0) })
  }()

  /// Names of the types whose numbers can be read.
  public static let supportedNames = all.values.filter { $0.delivered != nil }.sorted { $0.code < $1.code }.map(\.name)
}
