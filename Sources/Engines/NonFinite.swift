import Tensors

/// Finds values that are no numbers.
enum NonFinite {
  /// How many elements are NaN or infinite; 0 for types that cannot be.
  ///
  /// - Parameter bytes: Elements of `type`, in any order, so packed panels will do.
  static func count(_ bytes: UnsafeRawBufferPointer, _ type: ElementType) -> Int {
    switch type {
    case .bfloat16: unsafe count(bytes, exponent: UInt16(0x7F80))
    case .float16: unsafe count(bytes, exponent: UInt16(0x7C00))
    case .float32: unsafe count(bytes, exponent: UInt32(0x7F80_0000))
    default: 0
    }
  }

  /// All bits of the exponent set: NaN or infinity in every IEEE type.
  private static func count<Bits: FixedWidthInteger & BitwiseCopyable>(_ bytes: UnsafeRawBufferPointer, exponent: Bits) -> Int {
    guard let start = bytes.baseAddress else { return 0 }
    var found = 0
    let elements = bytes.count / MemoryLayout<Bits>.size
    for index in 0..<elements {
      let value = unsafe start.loadUnaligned(fromByteOffset: index &* MemoryLayout<Bits>.size, as: Bits.self)
      found &+= value & exponent == exponent ? 1 : 0
    }
    return found
  }
}
