import CPUKernels
import TestSupport
import Testing

private let widths = [1, 2, 15, 16, 17, 63, 64, 65, 576, 577]

@Suite struct ElementwiseTests {
  @Test(arguments: instructionSets, elementTypes)
  func `norms agree with their definitions, in place too`(isa: Int32, type: Int32) {
    let isa = dk_isa(rawValue: isa), type = dk_type(rawValue: type), rows = 3
    for width in widths {
      var random = SeededGenerator(width)
      let x = random.floats(rows * width, in: -3...5), delta = random.floats(rows * width)
      let weight = Reference.stored(random.floats(width), type), bias = Reference.stored(random.floats(width), type)
      let weights = Guarded(weight.bytes), biases = Guarded(bias.bytes), n = Int64(width), epsilon: Float = 1e-5
      let tolerance = 4e-6 + Double(width) * 0x1p-26

      let input = Guarded(x), out = Guarded<Float>(repeating: .nan, count: x.count), inPlace = Guarded(x)
      unsafe dk_rmsnorm(isa, out.base, n, input.base, n, weights.raw, type, Int64(rows), n, epsilon)
      unsafe dk_rmsnorm(isa, inPlace.base, n, inPlace.base, n, weights.raw, type, Int64(rows), n, epsilon)
      var mismatch = firstMismatch(out.elements, rmsNorm(x, weight.values, width, Double(epsilon))) { _ in tolerance }
      #expect(mismatch == nil, "rmsnorm \(width)")
      #expect(inPlace.bits == out.bits)

      let residual = Guarded(x), change = Guarded(delta), sum = zip(x, delta).map { $0 + $1 }
      unsafe dk_add_rmsnorm(isa, out.base, n, residual.base, n, change.base, n, weights.raw, type, Int64(rows), n, epsilon)
      mismatch = firstMismatch(out.elements, rmsNorm(sum, weight.values, width, Double(epsilon))) { _ in tolerance }
      #expect(mismatch == nil, "add and rmsnorm \(width)")
      #expect(residual.elements == sum)
      let again = Guarded(x)
      unsafe dk_add_rmsnorm(isa, change.base, n, again.base, n, change.base, n, weights.raw, type, Int64(rows), n, epsilon)
      #expect(change.bits == out.bits, "in place \(width)")

      for withBias in [true, false] where width > 1 {  // of one element the variance is 0, and 1/sqrt(epsilon) magnifies
        let layerNorm = Guarded(x)
        unsafe dk_layernorm(
          isa, layerNorm.base, n, layerNorm.base, n, weights.raw, withBias ? UnsafeRawPointer(biases.raw) : nil, type,
          Int64(rows), n, epsilon)
        let want = layerNormReference(x, weight.values, withBias ? bias.values : nil, width, Double(epsilon))
        mismatch = firstMismatch(layerNorm.elements, want) { _ in 2 * tolerance }
        #expect(mismatch == nil, "layernorm \(width)")
      }
    }
  }

  @Test(arguments: instructionSets)
  func `a norm of zeros is zero, and a NaN stays in its row`(isa: Int32) {
    let x = Guarded<Float>([0, 0, 0, 1, .nan, 1, 1, 1, 1]), weight = Guarded<Float>([1, 1, 1])
    unsafe dk_rmsnorm(dk_isa(rawValue: isa), x.base, 3, x.base, 3, weight.raw, DK_F32, 3, 3, 1e-6)
    #expect(x.elements[0..<3] == [0, 0, 0])
    #expect(x.elements[3..<6].allSatisfy { $0.isNaN })
    #expect(x.elements[6..<9].allSatisfy { abs($0 - 1) < 1e-6 })
  }

  @Test(arguments: instructionSets, [DK_SILU, DK_GELU_TANH, DK_GELU_ERF, DK_RELU, DK_IDENTITY].map(\.rawValue))
  func `activations agree with their definitions, plain and gated, in place too`(isa: Int32, kind: Int32) {
    let isa = dk_isa(rawValue: isa), kind = dk_activation_kind(rawValue: kind)
    var x = SeededGenerator.edges
    var random = SeededGenerator(3)
    x += random.floats(1000, in: -12...12) + random.floats(101, in: -200...200)
    let input = Guarded(x), n = Int64(x.count)
    unsafe dk_activation(isa, kind, input.base, n, input.base, n, 1, n)
    let want = x.map { activation(kind, Double($0)) }
    let mismatch = firstMismatch(input.elements, want) { 1e-6 * (1 + abs(Double(x[$0]))) }
    #expect(mismatch == nil)

    for width in widths {
      let fused = random.floats(3 * 2 * width, in: -4...4), source = Guarded(fused)
      let out = Guarded<Float>(repeating: .nan, count: 3 * width)
      unsafe dk_gated_activation(isa, kind, out.base, Int64(width), source.base, Int64(2 * width), 3, Int64(width))
      let want = (0..<3 * width).map { index in
        let row = index / width * 2 * width, column = index % width
        return Double(fused[row + column]) * activation(kind, Double(fused[row + width + column]))
      }
      let mismatch = firstMismatch(out.elements, want) { 4e-6 * (1 + abs(want[$0])) }
      #expect(mismatch == nil, "gated \(width)")
      unsafe dk_gated_activation(isa, kind, source.base, Int64(2 * width), source.base, Int64(2 * width), 3, Int64(width))
      for row in 0..<3 {
        #expect(Array(source.elements[row * 2 * width..<row * 2 * width + width]).bits == Array(out.elements[row * width..<(row + 1) * width]).bits)
      }
    }
    let nan = Guarded<Float>([.nan, 1])
    unsafe dk_activation(isa, kind, nan.base, 2, nan.base, 2, 1, 2)
    #expect(nan[0].isNaN && !nan[1].isNaN)
  }

  @Test(arguments: instructionSets)
  func `limited gates, scales and soft caps agree with the definition`(isa: Int32) {
    let isa = dk_isa(rawValue: isa)
    var random = SeededGenerator(5)
    for width in widths {
      let fused = random.floats(3 * 2 * width, in: -12...12), source = Guarded(fused)
      let out = Guarded<Float>(repeating: .nan, count: 3 * width)
      unsafe dk_limited_gate(isa, 7, 1.702, 1, out.base, Int64(width), source.base, Int64(2 * width), 3, Int64(width))
      let want = (0..<3 * width).map { index in
        let row = index / width * 2 * width, column = index % width
        let a = min(Double(fused[row + width + column]), 7), b = max(-7, min(7, Double(fused[row + column])))
        return a / (1 + exponential(-1.702 * a)) * (b + 1)
      }
      var mismatch = firstMismatch(out.elements, want) { 4e-6 * (1 + abs(want[$0])) }
      #expect(mismatch == nil, "gate \(width)")
      let x = random.floats(width, in: -80...80), values = Guarded(x)
      unsafe dk_soft_cap(isa, values.base, 30, Int64(width))
      mismatch = firstMismatch(values.elements, x.map { 30 * (1 - 2 / (exponential(2 * Double($0) / 30) + 1)) }) { _ in 1e-5 }
      #expect(mismatch == nil, "soft cap \(width)")
      unsafe dk_scale(isa, source.base, 0.3, Int64(fused.count))
      #expect(source.elements.bits == fused.map { $0 * 0.3 }.bits)
    }
    let nan = Guarded<Float>([1, .nan]), out = Guarded<Float>([0])
    unsafe dk_limited_gate(isa, 7, 1, 1, out.base, 1, nan.base, 2, 1, 1)
    #expect(out[0].isNaN)
  }

  @Test(arguments: instructionSets, [DK_ROPE_HALVES.rawValue, DK_ROPE_INTERLEAVED.rawValue])
  func `rotary embedding turns pairs by their angle and leaves the rest of a head alone`(isa: Int32, style: Int32) {
    let style = dk_rope_style(rawValue: style)
    for (headDimension, rotary) in [(2, 2), (8, 4), (64, 64), (80, 32), (33, 10), (128, 128)] {
      let half = rotary / 2, heads = 3, rows = 4, first = 2
      var random = SeededGenerator(headDimension)
      let x = random.floats(rows * heads * headDimension)
      let angles = (0..<(first + rows) * half).map { Double($0 / half) / Double(1 + $0 % half) }
      let cosines = Guarded(angles.map { Float(cosine($0)) }), sines = Guarded(angles.map { Float(sine($0)) })
      let turned = Guarded(x)
      unsafe dk_rope(
        dk_isa(rawValue: isa), style, turned.base, Int64(heads * headDimension), Int64(rows), Int64(heads),
        Int64(headDimension), Int64(rotary), cosines.base, sines.base, Int64(first))
      var want = x.map(Double.init)
      for row in 0..<rows {
        for head in 0..<heads {
          let start = (row * heads + head) * headDimension
          for pair in 0..<half {
            let (i, j) = style == DK_ROPE_HALVES ? (start + pair, start + half + pair) : (start + 2 * pair, start + 2 * pair + 1)
            let c = Double(cosines[(first + row) * half + pair]), s = Double(sines[(first + row) * half + pair])
            want[i] = Double(x[i]) * c - Double(x[j]) * s
            want[j] = Double(x[j]) * c + Double(x[i]) * s
          }
        }
      }
      let mismatch = firstMismatch(turned.elements, want) { _ in 3e-7 }
      #expect(mismatch == nil, "head \(headDimension), rotary \(rotary)")
    }
  }

  @Test(arguments: instructionSets)
  func `add adds each element once`(isa: Int32) {
    for width in widths {
      var random = SeededGenerator(width)
      let a = random.floats(width), b = random.floats(width), sum = Guarded(a), x = Guarded(b)
      unsafe dk_add(dk_isa(rawValue: isa), sum.base, x.base, Int64(width))
      #expect(sum.elements == zip(a, b).map { $0 + $1 })
    }
  }

  @Test(arguments: instructionSets)
  func `argmax finds the first largest, and NaN never wins`(isa: Int32) {
    func argmax(_ values: [Float]) -> Int {
      let x = Guarded(values)
      return unsafe Int(dk_argmax(dk_isa(rawValue: isa), x.base, Int64(values.count)))
    }
    #expect(argmax([]) == -1)
    #expect(argmax([.nan]) == 0)
    #expect(argmax([.nan, .nan, -5]) == 2)
    #expect(argmax([.nan, -.infinity]) == 1)
    #expect(argmax([-0.0, 0.0]) == 0)
    #expect(argmax([1, .infinity, .nan, .infinity]) == 1)
    var random = SeededGenerator(1)
    for count in widths {
      for _ in 0..<50 {
        var values = random.floats(count).map { ($0 * 8).rounded() }  // many ties
        for index in values.indices where UInt8.random(in: 0..<8, using: &random) == 0 { values[index] = .nan }
        let largest = values.filter { !$0.isNaN }.max()
        #expect(argmax(values) == (largest.flatMap { largest in values.firstIndex { $0 == largest } } ?? 0))
      }
    }
  }
}

extension SeededGenerator {
  /// Where exponentials overflow, underflow or round.
  fileprivate static let edges: [Float] = [0, -0.0, 1e-30, -1e-30, 1e-8, -1e-8, 87, -87, 88.8, -88.8, 104, -104, 1e4, -1e4, 3e38, -1e38]
}

private func rmsNorm(_ x: [Float], _ weight: [Float], _ width: Int, _ epsilon: Double) -> [Double] {
  stride(from: 0, to: x.count, by: width).flatMap { start -> [Double] in
    let row = x[start..<start + width].map(Double.init)
    let scale = 1 / (row.reduce(0) { $0 + $1 * $1 } / Double(width) + epsilon).squareRoot()
    return zip(row, weight).map { $0 * scale * Double($1) }
  }
}

private func layerNormReference(_ x: [Float], _ weight: [Float], _ bias: [Float]?, _ width: Int, _ epsilon: Double) -> [Double] {
  stride(from: 0, to: x.count, by: width).flatMap { start -> [Double] in
    let row = x[start..<start + width].map(Double.init)
    let mean = row.reduce(0, +) / Double(width)
    let scale = 1 / (row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width) + epsilon).squareRoot()
    return row.indices.map { (row[$0] - mean) * scale * Double(weight[$0]) + Double(bias?[$0] ?? 0) }
  }
}

private func activation(_ kind: dk_activation_kind, _ x: Double) -> Double {
  switch kind {
  case DK_SILU: x / (1 + exponential(-x))
  case DK_GELU_TANH: x / 2 * (1 + hyperbolicTangent((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
  case DK_GELU_ERF: x / 2 * (1 + errorFunction(x / 2.0.squareRoot()))
  case DK_RELU: max(x, 0)
  default: x
  }
}
