import CPUKernels
import TestSupport
import Testing

@Suite struct LinearTests {
  @Test(arguments: instructionSets, elementTypes)
  func `decode agrees with the definition, and all tactics, row counts and panel splits give the same bits`(
    isa: Int32, type: Int32
  ) {
    let isa = dk_isa(rawValue: isa), type = dk_type(rawValue: type)
    #expect(dk_decode_tactic_count(isa) > 0)
    for layer in LinearCase.all(type) {
      let first = layer.decode(isa, tactic: 0, x: layer.x, rows: layer.rows)
      let expected = layer.expected(x: layer.x)
      let mismatch = firstMismatch(first, expected.values) { expected.tolerances[$0] }
      #expect(mismatch == nil, "\(layer.name)")
      for tactic in 0..<dk_decode_tactic_count(isa) {
        let all = layer.decode(isa, tactic: tactic, x: layer.x, rows: layer.rows)
        #expect(all.bits == first.bits, "\(layer.name), tactic \(tactic)")
        for row in [0, layer.rows / 2, layer.rows - 1] {
          let alone = layer.decode(isa, tactic: tactic, x: Array(layer.x[row * layer.inputs..<(row + 1) * layer.inputs]), rows: 1)
          #expect(alone.bits == Array(first[row * layer.outputs..<(row + 1) * layer.outputs]).bits, "\(layer.name), row \(row)")
        }
        for split in 0...layer.panelCount {
          let left = layer.decode(isa, tactic: tactic, x: layer.x, rows: layer.rows, panels: 0..<split)
          let right = layer.decode(isa, tactic: tactic, x: layer.x, rows: layer.rows, panels: split..<layer.panelCount)
          let joined = first.indices.map { $0 % layer.outputs < split * 16 ? left[$0] : right[$0] }
          #expect(joined.bits == first.bits, "\(layer.name), split at \(split)")
          #expect(left.indices.allSatisfy { $0 % layer.outputs < split * 16 || left[$0] == LinearCase.untouched })
          #expect(right.indices.allSatisfy { $0 % layer.outputs >= split * 16 || right[$0] == LinearCase.untouched })
        }
      }
    }
  }

  @Test(arguments: instructionSets, elementTypes)
  func `prefill agrees with the definition, and all tactics, row counts and splits give the same bits`(
    isa: Int32, type: Int32
  ) {
    let isa = dk_isa(rawValue: isa), type = dk_type(rawValue: type)
    let kernels = (0..<dk_prefill_tactic_count(isa, type)).map { LinearCase.Prefill.tactic(isa, $0) }
    #expect(!kernels.isEmpty)
    for layer in LinearCase.all(type) { check(layer, kernels) }
  }

  @Test func `the tile kernel, on emulated tiles, agrees with the definition whatever its shares`() {
    for layer in LinearCase.all(DK_BF16) { check(layer, [.emulatedTiles]) }
  }

  @Test(.enabled(if: dk_best_isa() == DK_AMX, "this processor has no AMX tiles, or the system does not lend them"))
  func `the tile kernel agrees with the definition on the processor's own tiles`() {
    for layer in LinearCase.all(DK_BF16) { check(layer, [.tactic(DK_AMX, 0)]) }
  }

  private func check(_ layer: LinearCase, _ kernels: [LinearCase.Prefill]) {
    let first = layer.prefill(kernels[0], x: layer.x, rows: layer.rows)
    let expected = layer.expected(x: layer.seenByPrefill)
    let mismatch = firstMismatch(first, expected.values) { expected.tolerances[$0] }
    #expect(mismatch == nil, "\(layer.name)")
    for kernel in kernels {
      let all = layer.prefill(kernel, x: layer.x, rows: layer.rows)
      #expect(all.bits == first.bits, "\(layer.name), \(kernel)")
      for row in [0, layer.rows / 2, layer.rows - 1] {
        let alone = layer.prefill(kernel, x: Array(layer.x[row * layer.inputs..<(row + 1) * layer.inputs]), rows: 1)
        #expect(alone.bits == Array(first[row * layer.outputs..<(row + 1) * layer.outputs]).bits, "\(layer.name), row \(row)")
      }
      // A share in the middle: some rows, some panels; all else is left alone.
      let rows = layer.rows / 3..<layer.rows, panels = layer.panelCount / 2..<layer.panelCount
      let share = layer.prefill(kernel, x: layer.x, rows: layer.rows, rowRange: rows, panels: panels)
      let want = first.indices.map {
        rows.contains($0 / layer.outputs) && $0 % layer.outputs >= panels.lowerBound * 16 ? first[$0] : LinearCase.untouched
      }
      #expect(share.bits == want.bits, "\(layer.name), \(kernel)")
    }
  }

  @Test(arguments: instructionSets, elementTypes)
  func `a NaN stays in its row, an infinity keeps its sign, and padding adds nothing`(isa: Int32, type: Int32) {
    let isa = dk_isa(rawValue: isa), type = dk_type(rawValue: type)
    let layer = LinearCase(outputs: 17, inputs: 33, rows: 5, type: type, bias: false, seed: 7)
    var x = layer.x
    x[1 * 33 + 32] = .nan
    x[3 * 33 + 32] = .infinity  // the last input: beside it in memory lies padding
    let clean = layer.decode(isa, tactic: 0, x: layer.x, rows: 5), cleanPrefill = layer.prefill(.tactic(isa, 0), x: layer.x, rows: 5)
    var results = (0..<dk_decode_tactic_count(isa)).map { (layer.decode(isa, tactic: $0, x: x, rows: 5), clean) }
    results += (0..<dk_prefill_tactic_count(isa, type)).map { (layer.prefill(.tactic(isa, $0), x: x, rows: 5), cleanPrefill) }
    if type == DK_BF16 { results.append((layer.prefill(.emulatedTiles, x: x, rows: 5), layer.prefill(.emulatedTiles, x: layer.x, rows: 5))) }
    for (got, want) in results {
      for output in 0..<17 {
        #expect(got[1 * 17 + output].isNaN)
        #expect(got[3 * 17 + output] == (layer.weights[output * 33 + 32] > 0 ? .infinity : -.infinity))
        for row in [0, 2, 4] { #expect(got[row * 17 + output].bitPattern == want[row * 17 + output].bitPattern) }
      }
    }
  }

  @Test(arguments: instructionSets)
  func `rounded rows are rounded to nearest even and padded with zeros`(isa: Int32) {
    for inputs in [1, 31, 32, 33, 577] {
      var random = SeededGenerator(inputs)
      let x = random.floats(3 * inputs, in: -100...100), stride = Int(dk_rounded_stride(Int64(inputs)))
      let input = Guarded(x), out = Guarded<UInt16>(repeating: 0xffff, count: 3 * stride)
      unsafe dk_round_rows(dk_isa(rawValue: isa), out.base, input.base, Int64(inputs), 3, Int64(inputs))
      let want = (0..<3 * stride).map { $0 % stride < inputs ? Reference.bfloat16(x[$0 / stride * inputs + $0 % stride]) : 0 }
      #expect(out.elements == want)
    }
  }

  @Test func `every tactic has a name of its own`() {
    for isa in instructionSets.map(dk_isa.init(rawValue:)) {
      let decode = (0..<dk_decode_tactic_count(isa)).map { unsafe dk_decode_tactic_name(isa, $0).map { unsafe String(cString: $0) } }
      #expect(!decode.contains(nil) && Set(decode).count == decode.count)
      #expect(unsafe dk_decode_tactic_name(isa, dk_decode_tactic_count(isa)) == nil)
      for type in elementTypes.map(dk_type.init(rawValue:)) {
        let count = dk_prefill_tactic_count(isa, type)
        let prefill = (0..<count).map { unsafe dk_prefill_tactic_name(isa, type, $0).map { unsafe String(cString: $0) } }
        #expect(!prefill.contains(nil) && Set(prefill).count == prefill.count)
        #expect(unsafe dk_prefill_tactic_name(isa, type, count) == nil)
      }
    }
  }
}
