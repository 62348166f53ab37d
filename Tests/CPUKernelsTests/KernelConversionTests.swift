import CPUKernels
import TestSupport
import Testing

@Suite struct KernelConversionTests {
  @Test(arguments: instructionSets)
  func `every 16-bit value widens exactly`(isa: Int32) {
    let all = (0...UInt16.max).map { $0 }
    let f16 = convert(isa, all, DK_F16, to: DK_F32, as: Float.self), bf16 = convert(isa, all, DK_BF16, to: DK_F32, as: Float.self)
    for half in all {
      let want16 = Float(Float16(bitPattern: half)), wantB16 = Float(bitPattern: UInt32(half) << 16)
      let got16 = f16[Int(half)], gotB16 = bf16[Int(half)]
      #expect(want16.isNaN ? got16.isNaN : got16.bitPattern == want16.bitPattern, "float16 \(half)")
      #expect(wantB16.isNaN ? gotB16.isNaN : gotB16.bitPattern == wantB16.bitPattern, "bfloat16 \(half)")
    }
  }

  /// Around every float16 and bfloat16 value and the middle between two of them, where rounding decides, and at random.
  @Test(arguments: instructionSets)
  func `narrowing rounds to nearest even, keeps infinity and NaN, and overflows to infinity`(isa: Int32) {
    var values: [Float] = [.nan, .signalingNaN, -.nan, .infinity, -.infinity, 65519.996, 65520, 65536, .greatestFiniteMagnitude]
    values += [0x7f80_0001, 0xff80_0001, 0x7fff_ffff, 0x7f80_8000, 1, 0x8000_0001].map { Float(bitPattern: $0) }
    for half in stride(from: UInt32(0), through: 0xffff, by: 7) {
      for base in [Float(Float16(bitPattern: UInt16(half))).bitPattern, half << 16] {
        for offset: UInt32 in [0, 0x0fff, 0x1000, 0x1001, 0x2000, 0x3000, 0x7fff, 0x8000, 0x8001] {
          values.append(Float(bitPattern: base &+ offset))
        }
      }
    }
    var random = SeededGenerator(5)
    for _ in 0..<100_000 { values.append(Float(bitPattern: UInt32.random(in: .min ... .max, using: &random))) }
    let f16 = convert(isa, values, DK_F32, to: DK_F16, as: UInt16.self), bf16 = convert(isa, values, DK_F32, to: DK_BF16, as: UInt16.self)
    var bad: [Float] = []
    for (index, value) in values.enumerated() {
      if value.isNaN {
        if !Float16(bitPattern: f16[index]).isNaN || !Reference.float(bfloat16: bf16[index]).isNaN { bad.append(value) }
      } else if f16[index] != Float16(value).bitPattern || bf16[index] != Reference.bfloat16(value) {
        bad.append(value)
      }
    }
    #expect(bad.isEmpty, "\(bad.count) of \(values.count), for example \(bad.prefix(5).map { String($0.bitPattern, radix: 16) })")
  }

  @Test(arguments: instructionSets)
  func `every pair of types converts any count, through float32`(isa: Int32) {
    var random = SeededGenerator(11)
    for count in [0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 100] {
      let values = random.floats(count, in: -300...300)
      for from in elementTypes.map(dk_type.init(rawValue:)) {
        let source = Reference.stored(values, from)
        for to in elementTypes.map(dk_type.init(rawValue:)) {
          let x = Guarded(source.bytes), out = Guarded<UInt8>(repeating: 0, count: count * Int(dk_type_bytes(to)))
          unsafe dk_convert(dk_isa(rawValue: isa), out.raw, to, x.raw, from, Int64(count))
          #expect(out.elements == Reference.stored(source.values, to).bytes)
        }
      }
    }
  }

  private func convert<From: BitwiseCopyable, To: BitwiseCopyable & ExpressibleByIntegerLiteral>(
    _ isa: Int32, _ values: [From], _ from: dk_type, to: dk_type, as: To.Type
  ) -> [To] {
    let x = Guarded(values), out = Guarded<To>(repeating: 0, count: values.count)
    unsafe dk_convert(dk_isa(rawValue: isa), out.raw, to, x.raw, from, Int64(values.count))
    return out.elements
  }
}
