import CPUKernels
import TestSupport
import Testing

@Suite struct RoutingTests {
  /// `scale · softmax(x)` of the largest, in doubles.
  private func shares(_ x: [Float], chosen: Int, normalizes: Bool, scale: Double) -> [Double] {
    let top = Double(x.max() ?? 0)
    let powers = x.map { exponential(Double($0) - top) }
    // Of equals the first: a sort that keeps their order.
    let order = x.indices.sorted { x[$0] > x[$1] || x[$0] == x[$1] && $0 < $1 }.prefix(chosen)
    let sum = normalizes ? order.reduce(0) { $0 + powers[$1] } : powers.reduce(0, +)
    var result = [Double](repeating: 0, count: x.count)
    for expert in order { result[expert] = scale * powers[expert] / sum }
    return result
  }

  private func route(_ isa: dk_isa, _ x: [Float], experts: Int, chosen: Int, normalizes: Bool, scale: Float = 1) -> [Float] {
    let input = Guarded(x), out = Guarded<Float>(repeating: 12345, count: x.count), n = Int64(experts)
    unsafe dk_route(isa, out.base, n, input.base, n, Int64(x.count / experts), n, Int64(chosen), normalizes, scale)
    let inPlace = Guarded(x)
    unsafe dk_route(isa, inPlace.base, n, inPlace.base, n, Int64(x.count / experts), n, Int64(chosen), normalizes, scale)
    #expect(inPlace.bits == out.bits, "in place")
    return out.elements
  }

  @Test(arguments: instructionSets, [true, false])
  func `shares agree with their definition, and those of equals go to the first`(isa: Int32, normalizes: Bool) {
    let isa = dk_isa(rawValue: isa), rows = 5
    for experts in [1, 2, 7, 8, 15, 16, 17, 64, 128, 130] {
      for chosen in Set([1, 2, 8, experts - 1, experts]).filter({ (1...experts).contains($0) }) {
        var random = SeededGenerator(experts * 1000 + chosen)
        var x = random.floats(rows * experts, in: -9...9)
        // Of the second row many are equal, of the third all, in the fourth some can never be chosen while others are left.
        for expert in 0..<experts {
          x[experts + expert] = Float(expert % 3)
          x[2 * experts + expert] = -3
          if expert % 2 == 1 { x[3 * experts + expert] = -.infinity }
        }
        let found = route(isa, x, experts: experts, chosen: chosen, normalizes: normalizes, scale: 2.5)
        for row in 0..<rows {
          let own = Array(x[row * experts..<(row + 1) * experts])
          let want = shares(own, chosen: chosen, normalizes: normalizes, scale: 2.5)
          let mine = Array(found[row * experts..<(row + 1) * experts])
          let top = own.max() ?? 0
          let mismatch = firstMismatch(mine, want) { want[$0] == 0 ? 0 : (1e-6 + 0x1p-23 * Double(top - own[$0])) * want[$0] }
          #expect(mismatch == nil, "\(chosen) of \(experts), row \(row)")
          let alone = route(isa, own, experts: experts, chosen: chosen, normalizes: normalizes, scale: 2.5)
          #expect(alone.bits == mine.bits, "alone")
        }
      }
    }
  }

  @Test(arguments: instructionSets)
  func `nothing hides NaN or infinity, in its row alone`(isa: Int32) {
    for bad in [Float.nan, .infinity] {
      var x: [Float] = (0..<60).map { Float($0 % 7) }
      x[27] = bad
      let found = route(dk_isa(rawValue: isa), x, experts: 20, chosen: 3, normalizes: true)
      #expect(found[20..<40].count { $0.isNaN } == 3 && found[20..<40].count { $0 == 0 } == 17)
      let others = found[0..<20] + found[40..<60]
      #expect(others.allSatisfy { $0.isFinite })
    }
  }

  @Test(arguments: instructionSets)
  func `scaled sums agree with their definition`(isa: Int32) {
    for count in [0, 1, 15, 16, 17, 576] {
      var random = SeededGenerator(count)
      let (start, x) = (random.floats(count), random.floats(count))
      let sum = Guarded(start), input = Guarded(x)
      unsafe dk_add_scaled(dk_isa(rawValue: isa), sum.base, input.base, 0.37, Int64(count))
      let want = zip(start, x).map { Double($0) + Double(Float(0.37)) * Double($1) }
      let mismatch = firstMismatch(sum.elements, want) { _ in 2e-7 }
      #expect(mismatch == nil, "\(count)")
    }
  }

  /// An expert's products, out of a stack of panels: rows `[up ; gate]`, the activation, `down`, a share of it; as a back end puts
  /// them together.
  @Test(arguments: instructionSets, elementTypes)
  func `an expert of a stack agrees with its definition in doubles`(isa: Int32, type: Int32) {
    for isPrefill in [false, true] { check(isa: isa, type: type, isPrefill: isPrefill) }
  }

  private func check(isa: Int32, type: Int32, isPrefill: Bool) {
    let isa = dk_isa(rawValue: isa), type = dk_type(rawValue: type)
    let (experts, width, hidden, rows) = (3, 24, 48, 5)
    // A stack is one matrix of all experts' rows.
    let fused = LinearCase(outputs: experts * 2 * width, inputs: hidden, rows: rows, type: type, bias: false, seed: 91)
    let down = LinearCase(outputs: experts * hidden, inputs: width, rows: rows, type: type, bias: false, seed: 92)
    let x = isPrefill && type == DK_BF16 ? fused.seenByPrefill : fused.x
    for expert in 0..<experts {
      let firsts = (fused: expert * 2 * width, down: expert * hidden)
      let panels = (fused: firsts.fused / 16..<(firsts.fused + 2 * width) / 16, down: firsts.down / 16..<(firsts.down + hidden) / 16)
      func product(_ layer: LinearCase, _ x: [Float], _ panels: Range<Int>) -> [Float] {
        let all = isPrefill ? layer.prefill(.tactic(isa, 0), x: x, rows: rows, panels: panels) : layer.decode(isa, tactic: 0, x: x, rows: rows, panels: panels)
        return (0..<rows).flatMap { row in all[row * layer.outputs + panels.lowerBound * 16..<row * layer.outputs + panels.upperBound * 16] }
      }
      let both = Guarded(product(fused, fused.x, panels.fused))
      unsafe dk_gated_activation(isa, DK_SILU, both.base, Int64(2 * width), both.base, Int64(2 * width), Int64(rows), Int64(width))
      let inner = (0..<rows).flatMap { both.elements[$0 * 2 * width..<$0 * 2 * width + width] }
      let out = Guarded(product(down, inner, panels.down)), sum = Guarded<Float>(repeating: 0, count: rows * hidden)
      unsafe dk_add_scaled(isa, sum.base, out.base, 0.3, Int64(rows * hidden))

      var want: [Double] = []
      for row in 0..<rows {
        func dot(_ layer: LinearCase, _ output: Int, _ x: [Double]) -> Double {
          x.indices.reduce(0.0) { $0 + x[$1] * Double(layer.weights[output * layer.inputs + $1]) }
        }
        let own = x[row * hidden..<(row + 1) * hidden].map(Double.init)
        let activated = (0..<width).map { (index: Int) -> Double in
          let gate = dot(fused, firsts.fused + width + index, own)
          let value = dot(fused, firsts.fused + index, own) * gate / (1 + exponential(-gate))
          return isPrefill && type == DK_BF16 ? Double(Reference.float(bfloat16: Reference.bfloat16(Float(value)))) : value
        }
        for output in 0..<hidden { want.append(0.3 * dot(down, firsts.down + output, activated)) }
      }
      // Where the inner values are rounded to bfloat16, one that lies between two may go either way.
      let tolerance = isPrefill && type == DK_BF16 ? 0.02 : 2e-5
      let mismatch = firstMismatch(sum.elements, want) { tolerance * (1 + abs(want[$0])) }
      #expect(mismatch == nil, "expert \(expert)")
    }
  }
}
