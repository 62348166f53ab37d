import CPUKernels
import TestSupport

extension SeededGenerator {
  /// Seeds that follow each other, such as a case's sizes, give numbers that have nothing in common.
  init(_ seed: Int) { self.init(seed: UInt64(truncatingIfNeeded: seed) &* 0x9e37_79b9_7f4a_7c15 &+ 1) }
  mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
    (0..<count).map { _ in Float.random(in: range, using: &self) }
  }
}

/// Every instruction set that this machine runs, as raw values (which tests can take as arguments).
let instructionSets: [Int32] = Array(0...min(dk_best_isa().rawValue, DK_AVX512.rawValue))
let elementTypes: [Int32] = [DK_F32.rawValue, DK_F16.rawValue, DK_BF16.rawValue]

/// Plain Swift, one element at a time.
enum Reference {
  static func bfloat16(_ x: Float) -> UInt16 {
    let bits = x.bitPattern
    if x.isNaN { return UInt16(bits >> 16) | 0x40 }
    let lower = bits & 0xffff, upper = bits >> 16
    let up = lower > 0x8000 || (lower == 0x8000 && upper & 1 == 1)
    return UInt16(upper + (up ? 1 : 0))
  }
  static func float(bfloat16 x: UInt16) -> Float { Float(bitPattern: UInt32(x) << 16) }

  /// The bytes of `values` in an element type, and the values that those bytes stand for.
  static func stored(_ values: [Float], _ type: dk_type) -> (bytes: [UInt8], values: [Float]) {
    var bytes: [UInt8] = [], exact: [Float] = []
    for value in values {
      switch type {
      case DK_F32:
        unsafe withUnsafeBytes(of: value.bitPattern.littleEndian) { unsafe bytes.append(contentsOf: $0) }
        exact.append(value)
      case DK_F16:
        let half = Float16(value)
        unsafe withUnsafeBytes(of: half.bitPattern.littleEndian) { unsafe bytes.append(contentsOf: $0) }
        exact.append(Float(half))
      default:
        let half = bfloat16(value)
        unsafe withUnsafeBytes(of: half.littleEndian) { unsafe bytes.append(contentsOf: $0) }
        exact.append(float(bfloat16: half))
      }
    }
    return (bytes, exact)
  }
}

/// The first place where `got` is not within `tolerance` of `want`, in words. NaN is within nothing.
func firstMismatch(_ got: [Float], _ want: [Double], tolerance: (Int) -> Double) -> String? {
  guard got.count == want.count else { return "\(got.count) elements instead of \(want.count)" }
  for index in got.indices where !(abs(Double(got[index]) - want[index]) <= tolerance(index)) {
    return "element \(index): got \(got[index]), want \(want[index]) within \(tolerance(index))"
  }
  return nil
}
