import CPUKernels
import TestSupport
import Testing

/// Weights as int8 with a scale an output: encoding, panels, decode and prefill on every instruction set.
@Suite struct Int8Tests {
  private static let shapes = [(1, 1), (16, 4), (17, 5), (40, 31), (33, 7), (100, 130), (64, 576)]

  /// Codes `[outputs, inputs]`, scales, and panels packed element by element from the layout's definition.
  private struct Layer {
    let outputs: Int, inputs: Int
    let codes: [Int8], scales: [Float]
    var panels: [UInt8]

    init(outputs: Int, inputs: Int, seed: Int) {
      var random = SeededGenerator(seed)
      self.outputs = outputs
      self.inputs = inputs
      codes = (0..<outputs * inputs).map { _ in Int8.random(in: -128...127, using: &random) }
      scales = random.floats(outputs).map { abs($0) + 0.25 }
      let panelBytes = Int(dk_panel_bytes(DK_I8, Int64(inputs)))
      panels = [UInt8](repeating: 0, count: panelBytes * ((outputs + 15) / 16))
      for output in 0..<outputs {
        let start = output / 16 * panelBytes
        for byte in 0..<4 { panels[start + output % 16 * 4 + byte] = UInt8(truncatingIfNeeded: scales[output].bitPattern >> (8 * byte)) }
        for input in 0..<inputs {
          panels[start + 64 + input / 4 * 64 + output % 16 * 4 + input % 4] = UInt8(bitPattern: codes[output * inputs + input])
        }
      }
    }

    /// In double precision, with the tolerance of the contract.
    func expected(_ x: [Float], row: Int, output: Int, bias: [Float]) -> (value: Double, tolerance: Double) {
      var sum = Double(bias[output]), size = abs(sum)
      for input in 0..<inputs {
        let product = Double(x[row * inputs + input]) * Double(codes[output * inputs + input]) * Double(scales[output])
        sum += product
        size += abs(product)
      }
      return (sum, Double(inputs + 4) * 0x1p-24 * size)
    }
  }

  @Test func `encoding is within half a scale, gives itself again, and is the same on every instruction set`() {
    for (outputs, inputs) in Self.shapes {
      var random = SeededGenerator(inputs)
      let x = random.floats(outputs * inputs)
      var before: (codes: [Int8], scales: [Float])?
      for isa in 0...dk_best_isa().rawValue {
        let isa = dk_isa(rawValue: isa)
        func encode(_ values: [Float]) -> (codes: [Int8], scales: [Float]) {
          let input = Guarded(values), codes = Guarded<Int8>(repeating: 99, count: values.count), scales = Guarded<Float>(repeating: .nan, count: outputs)
          for row in 0..<outputs { unsafe dk_encode_int8(isa, codes.base + row * inputs, scales.base + row, input.base + row * inputs, Int64(inputs)) }
          return (codes.elements, scales.elements)
        }
        let (codes, scales) = encode(x)
        let decoded = codes.indices.map { Float(codes[$0]) * scales[$0 / inputs] }
        #expect(zip(x, decoded).enumerated().allSatisfy { abs($1.0 - $1.1) <= scales[$0 / inputs] / 2 * (1 + 1e-6) })
        #expect(scales.allSatisfy { $0.bitPattern & 0xffff == 0 }, "scales are bfloat16")
        let again = encode(decoded)
        #expect(again.codes == codes && again.scales == scales)
        if let before { #expect(before.codes == codes && before.scales == scales) }
        before = (codes, scales)
      }
    }
  }

  @Test func `rows of zeros, subnormals, infinities and NaN are encoded as the contract says`() {
    for isa in 0...dk_best_isa().rawValue {
      func encode(_ values: [Float]) -> (codes: [Int8], scale: Float) {
        let input = Guarded(values), codes = Guarded<Int8>(repeating: 99, count: values.count), scale = Guarded<Float>(repeating: 7, count: 1)
        unsafe dk_encode_int8(dk_isa(rawValue: isa), codes.base, scale.base, input.base, Int64(values.count))
        return (codes.elements, scale.elements[0])
      }
      for count in [3, 40] {
        let zero = encode([Float](repeating: -0.0, count: count))
        #expect(zero.scale == 0 && zero.codes.allSatisfy { $0 == 0 })
        let tiny = encode([Float](repeating: -.leastNonzeroMagnitude, count: count))
        #expect(tiny.scale == 0 && tiny.codes.allSatisfy { $0 == 0 })
        for broken in [Float.nan, .infinity, -.infinity] {
          for place in [0, count - 1] {
            var values = [Float](repeating: 1, count: count)
            values[place] = broken
            let encoded = encode(values)
            #expect(encoded.scale.isNaN && encoded.codes.allSatisfy { $0 == 0 })
          }
        }
        let small = encode((0..<count).map { Float($0 + 1) * 1e-40 })
        #expect(small.codes.allSatisfy { (0...127).contains($0) } && small.scale.isFinite)
      }
    }
  }

  @Test func `packing puts every code and scale where the layout says, and unpacking brings them back`() {
    for (outputs, inputs) in Self.shapes {
      let layer = Layer(outputs: outputs, inputs: inputs, seed: outputs)
      let panelBytes = Int(dk_panel_bytes(DK_I8, Int64(inputs)))
      let codes = Guarded(layer.codes), scales = Guarded(layer.scales)
      var packed: [UInt8] = []
      let back = Guarded<Int8>(repeating: 99, count: layer.codes.count), backScales = Guarded<Float>(repeating: .nan, count: outputs)
      for first in stride(from: 0, to: outputs, by: 16) {
        let rows = Int64(min(16, outputs - first))
        let panel = Guarded<UInt8>(repeating: 0xaa, count: panelBytes)
        unsafe dk_pack_int8_panel(panel.raw, codes.base + first * inputs, Int64(inputs), scales.base + first, rows, Int64(inputs))
        packed += panel.elements
        unsafe dk_unpack_int8_panel(back.base + first * inputs, Int64(inputs), backScales.base + first, panel.raw, rows, Int64(inputs))
      }
      #expect(packed == layer.panels, "\(outputs) × \(inputs)")
      #expect(back.elements == layer.codes && backScales.elements == layer.scales)
    }
  }

  @Test func `one token and many are sums of codes times the scale, the same for every tactic`() {
    for (outputs, inputs) in Self.shapes {
      let layer = Layer(outputs: outputs, inputs: inputs, seed: inputs + 1)
      var random = SeededGenerator(outputs)
      let rows = 37
      let x = random.floats(rows * inputs), bias = random.floats(outputs)
      let panels = Guarded(layer.panels), storedBias = Guarded(bias), input = Guarded(x)
      var linear = unsafe dk_linear(
        panels: UnsafeRawPointer(panels.raw), bias: UnsafeRawPointer(storedBias.raw), n: Int64(outputs), k: Int64(inputs), type: DK_I8, bias_type: DK_F32)
      let count = Int64((outputs + 15) / 16)
      for isa in 0...dk_best_isa().rawValue {
        let isa = dk_isa(rawValue: isa)
        func check(_ out: [Float], _ x: [Float], _ rows: Range<Int>, _ what: String) {
          for row in rows {
            for output in 0..<outputs {
              let (value, tolerance) = layer.expected(x, row: row, output: output, bias: bias)
              guard abs(Double(out[row * outputs + output]) - value) > tolerance else { continue }
              Issue.record("\(what) of \(outputs) × \(inputs), instruction set \(isa.rawValue): row \(row), output \(output) is \(out[row * outputs + output]), not \(value)")
              return
            }
          }
        }
        var first: [Float]?
        for tactic in 0..<dk_decode_tactic_count(isa) {
          let out = Guarded<Float>(repeating: .nan, count: rows * outputs)
          unsafe dk_linear_decode(isa, tactic, &linear, input.base, Int64(inputs), out.base, Int64(outputs), Int64(rows), 0, count)
          check(out.elements, x, 0..<rows, "decode")
          if let first { #expect(first == out.elements, "tactic \(tactic)") }
          first = out.elements
        }
        let stride = Int(dk_rounded_stride(Int64(inputs)))
        let rounded = Guarded<UInt16>(repeating: 0, count: rows * stride)
        unsafe dk_round_rows(isa, rounded.base, input.base, Int64(inputs), Int64(rows), Int64(inputs))
        let values = (0..<rows * inputs).map { Float(bitPattern: UInt32(rounded.elements[$0 / inputs * stride + $0 % inputs]) << 16) }
        first = nil
        for tactic in 0..<dk_prefill_tactic_count(isa, DK_I8) {
          let out = Guarded<Float>(repeating: 5, count: rows * outputs)
          let scratch = Guarded<UInt8>(repeating: 0xff, count: Int(dk_prefill_scratch_bytes(DK_I8, Int64(inputs))))
          unsafe dk_linear_prefill(
            isa, tactic, &linear, rounded.base, Int64(stride), out.base, Int64(outputs), 2, Int64(rows), 0, count, scratch.raw)
          #expect(out.elements[..<(2 * outputs)].allSatisfy { $0 == 5 }, "rows before the first stay")
          check(out.elements, values, 2..<rows, "prefill")
          if let first { #expect(first == out.elements, "tactic \(tactic)") }
          first = out.elements
        }
      }
    }
  }
}
