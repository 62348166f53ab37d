import Tensors

/// Unpacks ggml's quantised blocks to float32, in the same order of float operations as ggml's reference code, so
/// that every result is equal to the bit.
///
/// Names follow ggml: `d` is a block's scale, `m` its minimum, `q` a quantised value.
package enum Dequantization {
  /// - Parameters:
  ///   - source: Whole blocks, packed. No alignment needed.
  ///   - destination: `blocks * blockElements` float32 values. No alignment needed.
  package static func unpack(_ type: GGUFTensorType, _ source: UnsafeRawBufferPointer, into destination: UnsafeMutableRawBufferPointer) {
    let count = source.count / type.blockBytes
    precondition(source.count == count * type.blockBytes && destination.count == count * type.blockElements * 4)
    guard count > 0, let from = source.baseAddress, let to = destination.baseAddress else { return }
    // Values go through an aligned block, which the compiler turns into registers.
    unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: type.blockElements) { block in
      guard let values = block.baseAddress else { return }
      for index in 0..<count {
        let bytes = unsafe from + index * type.blockBytes
        switch type {
        case .q4_0: unsafe q4_0(bytes, values)
        case .q4_1: unsafe q4_1(bytes, values)
        case .q5_0: unsafe q5_0(bytes, values)
        case .q5_1: unsafe q5_1(bytes, values)
        case .q8_0: unsafe q8_0(bytes, values)
        case .q4_K: unsafe q4_K(bytes, values)
        case .q5_K: unsafe q5_K(bytes, values)
        case .q6_K: unsafe q6_K(bytes, values)
        default: preconditionFailure("\(type.name) holds no blocks that can be unpacked")
        }
        unsafe (to + index * type.blockElements * 4).copyMemory(from: values, byteCount: type.blockElements * 4)
      }
    }
  }

  @inline(always) private static func half(_ bytes: UnsafeRawPointer, _ offset: Int) -> Float {
    NumberFormat.float(fromFloat16: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
  }
  @inline(always) private static func byte(_ bytes: UnsafeRawPointer, _ offset: Int) -> UInt8 {
    unsafe bytes.load(fromByteOffset: offset, as: UInt8.self)
  }

  /// 32 values: d, 16 bytes of two nibbles. Low nibbles are the first half.
  private static func q4_0(_ b: UnsafeRawPointer, _ y: UnsafeMutablePointer<Float>) {
    let d = unsafe half(b, 0)
    for j in 0..<16 {
      let q = unsafe byte(b, 2 + j)
      unsafe y[j] = d * Float(Int32(q & 0x0F) - 8)
      unsafe y[j + 16] = d * Float(Int32(q >> 4) - 8)
    }
  }

  /// 32 values: d, m, 16 bytes of two nibbles.
  private static func q4_1(_ b: UnsafeRawPointer, _ y: UnsafeMutablePointer<Float>) {
    let d = unsafe half(b, 0)
    let m = unsafe half(b, 2)
    for j in 0..<16 {
      let q = unsafe byte(b, 4 + j)
      unsafe y[j] = d * Float(Int32(q & 0x0F)) + m
      unsafe y[j + 16] = d * Float(Int32(q >> 4)) + m
    }
  }

  /// 32 values: d, 32 fifth bits, 16 bytes of two nibbles.
  private static func q5_0(_ b: UnsafeRawPointer, _ y: UnsafeMutablePointer<Float>) {
    let d = unsafe half(b, 0)
    let high = unsafe b.loadUnaligned(fromByteOffset: 2, as: UInt32.self)
    for j in 0..<16 {
      let q = unsafe Int32(byte(b, 6 + j))
      let low = q & 0x0F | Int32(truncatingIfNeeded: high >> UInt32(j) & 1) << 4
      let top = q >> 4 | Int32(truncatingIfNeeded: high >> UInt32(j + 16) & 1) << 4
      unsafe y[j] = d * Float(low - 16)
      unsafe y[j + 16] = d * Float(top - 16)
    }
  }

  /// 32 values: d, m, 32 fifth bits, 16 bytes of two nibbles.
  private static func q5_1(_ b: UnsafeRawPointer, _ y: UnsafeMutablePointer<Float>) {
    let d = unsafe half(b, 0)
    let m = unsafe half(b, 2)
    let high = unsafe b.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
    for j in 0..<16 {
      let q = unsafe Int32(byte(b, 8 + j))
      let low = q & 0x0F | Int32(truncatingIfNeeded: high >> UInt32(j) & 1) << 4
      let top = q >> 4 | Int32(truncatingIfNeeded: high >> UInt32(j + 16) & 1) << 4
      unsafe y[j] = d * Float(low) + m
      unsafe y[j + 16] = d * Float(top) + m
    }
  }

  /// 32 values: d, 32 signed bytes.
  private static func q8_0(_ b: UnsafeRawPointer, _ y: UnsafeMutablePointer<Float>) {
    let d = unsafe half(b, 0)
    for j in 0..<32 { unsafe y[j] = d * Float(Int32(Int8(bitPattern: byte(b, 2 + j)))) }
  }

  /// Six-bit scale and minimum of sub-block `j` of eight, out of twelve bytes: for the first four their low six bits;
  /// for the others four bits of their own byte and two taken from the top of the first four's.
  @inline(always) private static func scaleAndMinimum(_ b: UnsafeRawPointer, _ offset: Int, _ j: Int) -> (Float, Float) {
    if j < 4 {
      return unsafe (Float(byte(b, offset + j) & 63), Float(byte(b, offset + j + 4) & 63))
    }
    let own = unsafe byte(b, offset + j + 4)
    let scale = unsafe own & 0x0F | (byte(b, offset + j - 4) >> 6) << 4
    let minimum = unsafe own >> 4 | (byte(b, offset + j) >> 6) << 4
    return (Float(scale), Float(minimum))
  }

  /// 256 values in eight sub-blocks of 32: d, dmin, 12 bytes of scales and minima, 128 bytes of two nibbles.
  private static func q4_K(_ b: UnsafeRawPointer, _ y: UnsafeMutablePointer<Float>) {
    let d = unsafe half(b, 0)
    let dmin = unsafe half(b, 2)
    for pair in 0..<4 {
      let (s1, m1) = unsafe scaleAndMinimum(b, 4, 2 * pair)
      let (s2, m2) = unsafe scaleAndMinimum(b, 4, 2 * pair + 1)
      let (d1, min1, d2, min2) = (d * s1, dmin * m1, d * s2, dmin * m2)
      for j in 0..<32 {
        let q = unsafe byte(b, 16 + 32 * pair + j)
        unsafe y[64 * pair + j] = d1 * Float(Int32(q & 0x0F)) - min1
        unsafe y[64 * pair + 32 + j] = d2 * Float(Int32(q >> 4)) - min2
      }
    }
  }

  /// As `q4_K`, with 32 bytes of fifth bits (bit i of byte j belongs to value j of sub-block i) before the nibbles.
  private static func q5_K(_ b: UnsafeRawPointer, _ y: UnsafeMutablePointer<Float>) {
    let d = unsafe half(b, 0)
    let dmin = unsafe half(b, 2)
    for pair in 0..<4 {
      let (s1, m1) = unsafe scaleAndMinimum(b, 4, 2 * pair)
      let (s2, m2) = unsafe scaleAndMinimum(b, 4, 2 * pair + 1)
      let (d1, min1, d2, min2) = (d * s1, dmin * m1, d * s2, dmin * m2)
      let shift = UInt8(2 * pair)
      for j in 0..<32 {
        let q = unsafe byte(b, 48 + 32 * pair + j)
        let high = unsafe byte(b, 16 + j) &>> shift
        unsafe y[64 * pair + j] = d1 * Float(Int32(q & 0x0F | (high & 1) << 4)) - min1
        unsafe y[64 * pair + 32 + j] = d2 * Float(Int32(q >> 4 | (high >> 1 & 1) << 4)) - min2
      }
    }
  }

  /// 256 values in sixteen sub-blocks of 16: 128 bytes of low nibbles, 64 of upper bit pairs, 16 signed scales, d.
  private static func q6_K(_ b: UnsafeRawPointer, _ y: UnsafeMutablePointer<Float>) {
    let d = unsafe half(b, 208)
    for half in 0..<2 {
      // Four runs of 32 values: (nibble of which byte run, which nibble, which bit pair).
      for run in 0..<4 {
        let lowOffset = 64 * half + 32 * (run & 1)
        let lowShift = UInt8(run < 2 ? 0 : 4)
        let highShift = UInt8(2 * run)
        for sub in 0..<2 {
          let scale = unsafe Int8(bitPattern: byte(b, 192 + 8 * half + 2 * run + sub))
          let ds = d * Float(scale)
          for j in 16 * sub..<16 * sub + 16 {
            let low = unsafe byte(b, lowOffset + j) &>> lowShift & 0x0F
            let high = unsafe byte(b, 128 + 32 * half + j) &>> highShift & 3
            unsafe y[128 * half + 32 * run + j] = ds * Float(Int32(low | high << 4) - 32)
          }
        }
      }
    }
  }
}
