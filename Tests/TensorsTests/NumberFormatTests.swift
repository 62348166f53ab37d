import Tensors
import TestSupport
import Testing

struct NumberFormatTests {
  /// The nearest of all 65536 candidates, ties to the even one, found by trying them: slow and obviously right.
  static func nearest(_ value: Float, _ widen: (UInt16) -> Float, infinity: UInt16, limit: Double) -> UInt16 {
    let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
    if value.magnitude.isInfinite || Double(value.magnitude) >= limit { return sign | infinity }
    var best: UInt16 = 0
    var distance = Double.infinity
    for candidate in 0..<infinity {
      let here = abs(Double(widen(candidate)) - Double(value.magnitude))
      if here < distance || (here == distance && candidate & 1 == 0) { (best, distance) = (candidate, here) }
    }
    return sign | best
  }
  static let interesting: [Float] = {
    var generator = SeededGenerator(seed: 7)
    var values: [Float] = [
      0, -0.0, 1, -1, 1.5, 0x1.01p0, 0x1.03p0, 0x1.010002p0, 0x1.00FFFEp0, .greatestFiniteMagnitude,
      -.greatestFiniteMagnitude, .infinity, -.infinity, .leastNonzeroMagnitude, .leastNormalMagnitude, 65504, 65519.99,
      65520, 65536, 0x1p-24, 0x1p-25, 0x1.000002p-25, 0x1.8p-24, 6.1e-5, 3.3895314e38, 3.3961775e38,
    ]
    for _ in 0..<60 { values.append(Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &generator))) }
    for _ in 0..<60 { values.append(Float.random(in: -70000...70000, using: &generator)) }
    return values.filter { !$0.isNaN }
  }()

  @Test func `bfloat16 is the nearest value, ties to even`() {
    for value in Self.interesting {
      let want = Self.nearest(value, NumberFormat.float(fromBFloat16:), infinity: 0x7F80, limit: 0x1.FFp127)
      #expect(NumberFormat.bfloat16(from: value) == want, "\(value)")
    }
  }
  @Test func `float16 is the nearest value, ties to even`() {
    for value in Self.interesting {
      let want = Self.nearest(value, NumberFormat.float(fromFloat16:), infinity: 0x7C00, limit: 65520)
      #expect(NumberFormat.float16(from: value) == want, "\(value)")
    }
  }
  @Test func `every NaN stays a NaN and keeps its sign`() {
    for bits in [0x7F80_0001, 0x7FC0_0000, 0x7FFF_FFFF, 0x7F80_FFFF, 0xFF80_0001, 0xFFFF_FFFF] as [UInt32] {
      let narrow = NumberFormat.bfloat16(from: Float(bitPattern: bits))
      #expect(NumberFormat.float(fromBFloat16: narrow).isNaN)
      #expect(narrow >> 15 == UInt16(bits >> 31))
      #expect(NumberFormat.float(fromFloat16: NumberFormat.float16(from: Float(bitPattern: bits))).isNaN)
    }
  }
  @Test func `every bfloat16 and float16 survives a round trip through float32`() {
    for bits in 0...UInt16.max {
      let wide = NumberFormat.float(fromBFloat16: bits)
      if !wide.isNaN { #expect(NumberFormat.bfloat16(from: wide) == bits) }
      let half = NumberFormat.float(fromFloat16: bits)
      if !half.isNaN { #expect(NumberFormat.float16(from: half) == bits) }
    }
  }

  func convert(_ bytes: [UInt8], _ from: ElementType, _ to: ElementType) -> [UInt8] {
    var out = [UInt8](repeating: 0xAA, count: bytes.count * to.bitWidth / from.bitWidth)
    unsafe bytes.withUnsafeBytes { source in
      unsafe out.withUnsafeMutableBytes { unsafe NumberFormat.convert(from: source, from, to: $0, to) }
    }
    return out
  }
  func bytes<Value>(_ values: [Value]) -> [UInt8] { unsafe values.withUnsafeBytes { unsafe Array($0) } }

  @Test(arguments: [0, 1, 7, 16, 33, 1000]) func `bulk conversion is the scalar one at every length`(count: Int) {
    var generator = SeededGenerator(seed: UInt64(count))
    let floats = (0..<count).map { _ in Float.random(in: -1e5...1e5, using: &generator) }
    let brain = floats.map(NumberFormat.bfloat16(from:))
    let half = floats.map(NumberFormat.float16(from:))
    #expect(convert(bytes(floats), .float32, .bfloat16) == bytes(brain))
    #expect(convert(bytes(floats), .float32, .float16) == bytes(half))
    #expect(convert(bytes(floats), .float32, .float32) == bytes(floats))
    #expect(convert(bytes(brain), .bfloat16, .float32) == bytes(brain.map(NumberFormat.float(fromBFloat16:))))
    #expect(convert(bytes(half), .float16, .float32) == bytes(half.map(NumberFormat.float(fromFloat16:))))
    #expect(
      convert(bytes(half), .float16, .bfloat16)
        == bytes(half.map { NumberFormat.bfloat16(from: NumberFormat.float(fromFloat16: $0)) }))
    #expect(
      convert(bytes(brain), .bfloat16, .float16)
        == bytes(brain.map { NumberFormat.float16(from: NumberFormat.float(fromBFloat16: $0)) }))
    #expect(convert(bytes(floats.map(Double.init)), .float64, .float32) == bytes(floats))
  }
  @Test func `bulk conversion agrees with the scalar one on subnormals, infinities, NaN and every 16-bit value`() {
    // Each value at each place of a vector, and in the tail.
    let values = Self.interesting + [.nan, -.nan, .signalingNaN, Float(bitPattern: 1), Float(bitPattern: 0x8000_FFFF), Float(bitPattern: 70000), Float(bitPattern: 0x8000_0800), 6e-8, 5.9e-8]
    for shift in 0..<3 {
      let floats = Array(values.dropFirst(shift))
      func same(_ bytes: [UInt8], _ want: [UInt16], _ widen: (UInt16) -> Float) -> Bool {
        let got = stride(from: 0, to: bytes.count, by: 2).map { UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8 }
        return got.count == want.count && zip(got, want).allSatisfy { $0 == $1 || (widen($0).isNaN && widen($1).isNaN) }
      }
      #expect(same(convert(bytes(floats), .float32, .bfloat16), floats.map(NumberFormat.bfloat16(from:)), NumberFormat.float(fromBFloat16:)))
      #expect(same(convert(bytes(floats), .float32, .float16), floats.map(NumberFormat.float16(from:)), NumberFormat.float(fromFloat16:)))
      let all = Array((UInt16.min...UInt16.max).dropFirst(shift))
      for (type, widen) in [(ElementType.bfloat16, NumberFormat.float(fromBFloat16:)), (.float16, NumberFormat.float(fromFloat16:))] {
        let got = convert(bytes(all), type, .float32)
        let wide = stride(from: 0, to: got.count, by: 4).map { index in
          Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(got[index + $1]) << (8 * $1) })
        }
        #expect(zip(wide, all).allSatisfy { $0 == widen($1) || ($0.isNaN && widen($1).isNaN) }, "\(type)")
        let other: ElementType = type == .bfloat16 ? .float16 : .bfloat16
        let narrow = type == .bfloat16 ? NumberFormat.float16(from:) : NumberFormat.bfloat16(from:)
        let back = type == .bfloat16 ? NumberFormat.float(fromFloat16:) : NumberFormat.float(fromBFloat16:)
        #expect(same(convert(bytes(all), type, other), all.map { narrow(widen($0)) }, back), "\(type) to \(other)")
      }
    }
  }
  @Test func `float64 to bfloat16 rounds once, not twice`() {
    // Halfway between two bfloat16 after rounding to float32, but above it before.
    let value = 1 + 0x1p-8 + 0x1p-40
    #expect(NumberFormat.bfloat16(from: Float(value)) == 0x3F80)
    #expect(convert(bytes([value, -value]), .float64, .bfloat16) == bytes([0x3F81, 0xBF81] as [UInt16]))
    #expect(convert(bytes([1 - 0x1p-9 - 0x1p-40]), .float64, .bfloat16) == bytes([0x3F7F] as [UInt16]))
  }
  @Test func `a source that is not aligned converts all the same`() {
    let floats: [Float] = [1, 2, 3]
    let shifted = [0] + bytes(floats)
    var out = [UInt16](repeating: 0, count: 3)
    unsafe shifted.withUnsafeBytes { source in
      unsafe out.withUnsafeMutableBytes {
        unsafe NumberFormat.convert(from: UnsafeRawBufferPointer(rebasing: source[1...]), .float32, to: $0, .bfloat16)
      }
    }
    #expect(out == [0x3F80, 0x4000, 0x4040])
  }
}
