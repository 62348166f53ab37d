/// Passes over a whole vocabulary, 16 floats at a time.
///
/// Every sum has a fixed order, so a result is a function of the values alone. No fused multiply-add: the same bits on
/// every machine.
package enum VectorMath {
  private static let width = 16
  /// Values whose exponentials are summed in float32 before they join a float64 sum.
  package static let blockSize = 1024

  /// The largest value that is not NaN (`-inf` if there is none), and whether a NaN was met.
  package static func maximum(_ values: Span<Float>) -> (value: Float, metNaN: Bool) {
    var largest = SIMD16<Float>(repeating: -.infinity)
    var nan = SIMDMask<SIMD16<Int32>>(repeating: false)
    forEachVector(values, padding: -.infinity) { vector, _ in
      largest.replace(with: vector, where: vector .> largest)
      nan .|= vector .!= vector
    }
    return (largest.max(), any(nan))
  }

  /// Index of the first value that equals `value`.
  package static func firstIndex(of value: Float, in values: Span<Float>) -> Int? {
    var index = 0
    while index + width <= values.count {
      if any(load(values, index) .== value) { break }
      index += width
    }
    while index < values.count {
      if values[index] == value { return index }
      index += 1
    }
    return nil
  }

  /// `Σ exp(values[i] - maximum)` for `maximum` at least every value; `-inf` counts 0.
  package static func sumOfExponentials(_ values: Span<Float>, minus maximum: Float) -> Double {
    var total = 0.0
    var partial = SIMD16<Float>(repeating: 0)
    var inBlock = 0
    forEachVector(values, padding: -.infinity) { vector, _ in
      partial += exponential(vector - maximum)
      inBlock += width
      if inBlock == blockSize {
        total += Double(partial.sum())
        partial = SIMD16(repeating: 0)
        inBlock = 0
      }
    }
    return total + Double(partial.sum())
  }

  /// Replaces every value by `exp(value - maximum)`, and appends the sum of every ``blockSize`` of them to `blockSums`.
  package static func exponentiate(_ values: inout MutableSpan<Float>, minus maximum: Float, blockSums: inout [Double]) {
    var start = 0
    while start < values.count {
      let end = min(start + blockSize, values.count)
      var partial = SIMD16<Float>(repeating: 0)
      var index = start
      while index + width <= end {
        let result = exponential(load(values.span, index) - maximum)
        store(result, &values, index)
        partial += result
        index += width
      }
      while index < end {
        let result = exponential(SIMD16(repeating: values[index] - maximum))[0]
        values[index] = result
        partial[0] += result
        index += 1
      }
      blockSums.append(Double(partial.sum()))
      start = end
    }
  }

  /// Multiplies every value by `factor`.
  package static func scale(_ values: inout MutableSpan<Float>, by factor: Float) {
    var index = 0
    while index + width <= values.count {
      store(load(values.span, index) * factor, &values, index)
      index += width
    }
    while index < values.count {
      values[index] *= factor
      index += 1
    }
  }

  /// Calls `body` with the index and value of every value above `threshold`, ascending. `body` answers the threshold for
  /// what follows, so that a search can narrow as it goes.
  @inline(always)
  package static func forEach(
    in values: Span<Float>, above threshold: Float, _ body: (Int, Float) -> Float
  ) {
    var threshold = threshold
    var index = 0
    while index + width <= values.count {
      if any(load(values, index) .> threshold) {
        for lane in index..<index + width where values[lane] > threshold { threshold = body(lane, values[lane]) }
      }
      index += width
    }
    while index < values.count {
      if values[index] > threshold { threshold = body(index, values[index]) }
      index += 1
    }
  }

  /// `eˣ` for x ≤ 0 with a relative error below 2⁻²²; 0 below -87.
  ///
  /// Splits x into n·ln 2 + r with |r| ≤ ln 2 / 2, takes a polynomial of degree 7 in r (Taylor's coefficients, whose
  /// remainder there is below 2⁻²⁷), and puts n into the exponent bits.
  @inline(always)
  package static func exponential(_ x: SIMD16<Float>) -> SIMD16<Float> {
    let underflow = x .< -87
    let x = x.replacing(with: -87, where: underflow)
    // Adding 1.5·2²³ rounds to a whole number, which then stands in the low bits.
    let rounder: Float = 12_582_912
    let shifted = x * 1.442_695_04 + rounder
    let n = shifted - rounder
    // ln 2 in two parts, the first short enough for n times it to be exact.
    let r = (x - n * 0.693_359_375) - n * -2.121_944_4e-4
    var y = r * (1 / 5040) + 1 / 720
    y = y * r + 1 / 120
    y = y * r + 1 / 24
    y = y * r + 1 / 6
    y = y * r + 0.5
    y = y * r + 1
    y = y * r + 1
    let exponent = (unsafe unsafeBitCast(shifted, to: SIMD16<UInt32>.self) &<< 23) &+ (127 << 23)
    let result = y * (unsafe unsafeBitCast(exponent, to: SIMD16<Float>.self))
    return result.replacing(with: 0, where: underflow)
  }

  @inline(always)
  private static func forEachVector(_ values: Span<Float>, padding: Float, _ body: (SIMD16<Float>, Int) -> Void) {
    var index = 0
    while index + width <= values.count {
      body(load(values, index), index)
      index += width
    }
    guard index < values.count else { return }
    var last = SIMD16<Float>(repeating: padding)
    for lane in 0..<values.count - index { last[lane] = values[index + lane] }
    body(last, index)
  }
  /// Callers keep `index + width <= values.count`.
  @inline(always)
  private static func load(_ values: Span<Float>, _ index: Int) -> SIMD16<Float> {
    unsafe values.bytes.unsafeLoadUnaligned(
      fromUncheckedByteOffset: index &* MemoryLayout<Float>.stride, as: SIMD16<Float>.self)
  }
  @inline(always)
  private static func store(_ vector: SIMD16<Float>, _ values: inout MutableSpan<Float>, _ index: Int) {
    unsafe values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      unsafe UnsafeMutableRawPointer(base + index).storeBytes(of: vector, as: SIMD16<Float>.self)
    }
  }
}
