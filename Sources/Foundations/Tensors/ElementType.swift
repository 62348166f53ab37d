/// What one element of a tensor is; raw values are the names that safetensors headers use.
///
/// The list is that of safetensors 0.8. Elements narrower than a byte are packed without gaps, so a tensor of them
/// is only representable when its bits fill whole bytes.
public enum ElementType: String, Sendable, CaseIterable {
  /// One byte, 0 or 1.
  case bool = "BOOL"
  /// 4-bit float, E2M1, as MXFP4 and NVFP4 use it.
  case float4 = "F4"
  /// 6-bit float: 2 bits of exponent, 3 of mantissa.
  case float6E2M3 = "F6_E2M3"
  /// 6-bit float: 3 bits of exponent, 2 of mantissa.
  case float6E3M2 = "F6_E3M2"
  /// Whole number, 0 to 255.
  case uint8 = "U8"
  /// Whole number, -128 to 127.
  case int8 = "I8"
  /// 8-bit float: 5 bits of exponent, 2 of mantissa, with infinities.
  case float8E5M2 = "F8_E5M2"
  /// 8-bit float: 4 bits of exponent, 3 of mantissa, without infinities; at most 448.
  case float8E4M3 = "F8_E4M3"
  /// 8-bit power of two, without sign: the scale of a block.
  case float8E8M0 = "F8_E8M0"
  /// ``float8E4M3`` with one NaN, no negative zero and an exponent bias one higher.
  case float8E4M3FNUZ = "F8_E4M3FNUZ"
  /// ``float8E5M2`` with one NaN, no infinities, no negative zero and an exponent bias one higher.
  case float8E5M2FNUZ = "F8_E5M2FNUZ"
  /// Whole number of 16 bits with sign.
  case int16 = "I16"
  /// Whole number of 16 bits without sign.
  case uint16 = "U16"
  /// IEEE 754 binary16: 5 bits of exponent, 10 of mantissa; at most 65504.
  case float16 = "F16"
  /// The upper half of a float32: 8 bits of exponent, 7 of mantissa.
  case bfloat16 = "BF16"
  /// Whole number of 32 bits with sign.
  case int32 = "I32"
  /// Whole number of 32 bits without sign.
  case uint32 = "U32"
  /// IEEE 754 binary32.
  case float32 = "F32"
  /// Two float32: real part, then imaginary part.
  case complex64 = "C64"
  /// IEEE 754 binary64.
  case float64 = "F64"
  /// Whole number of 64 bits with sign.
  case int64 = "I64"
  /// Whole number of 64 bits without sign.
  case uint64 = "U64"

  /// Bits of one element: 4, 6, 8, 16, 32 or 64.
  public var bitWidth: Int {
    switch self {
    case .float4: 4
    case .float6E2M3, .float6E3M2: 6
    case .bool, .uint8, .int8, .float8E5M2, .float8E4M3, .float8E8M0, .float8E4M3FNUZ, .float8E5M2FNUZ: 8
    case .int16, .uint16, .float16, .bfloat16: 16
    case .int32, .uint32, .float32: 32
    case .complex64, .float64, .int64, .uint64: 64
    }
  }

  /// The type that a TensorRT-LLM configuration calls `configName` (`float16`, `bfloat16`, `float32`, …).
  public init?(configName: String) {
    guard let type = Self.allCases.first(where: { $0.configName == configName }) else { return nil }
    self = type
  }

  /// TensorRT-LLM's name, or nil where it has none.
  public var configName: String? {
    switch self {
    case .bool: "bool"
    case .uint8: "uint8"
    case .int8: "int8"
    case .float8E4M3: "fp8"
    case .float4: "fp4"
    case .float16: "float16"
    case .bfloat16: "bfloat16"
    case .int32: "int32"
    case .float32: "float32"
    case .int64: "int64"
    default: nil
    }
  }
}
