import CPUKernels
import TestSupport
import Testing

@Suite struct PackingTests {
  @Test(arguments: elementTypes)
  func `packing puts every element where the layout says and unpacking brings it back`(type: Int32) {
    let type = dk_type(rawValue: type), bytes = Int(dk_type_bytes(type))
    for inputs in [1, 2, 3, 4, 7, 8, 9, 16, 33, 64, 577] {
      for rows in [1, 5, 15, 16] {
        var random = SeededGenerator(inputs * 16 + rows)
        let stride = inputs + 3
        let source = (0..<rows * stride * bytes).map { _ in UInt8.random(in: 0...255, using: &random) }
        // The last row ends where memory ends: its stride is not read.
        let x = Guarded(Array(source.prefix(((rows - 1) * stride + inputs) * bytes)))
        let panelBytes = Int(dk_panel_bytes(type, Int64(inputs)))
        let panel = Guarded<UInt8>(repeating: 0xaa, count: panelBytes)
        unsafe dk_pack_panel(type, panel.raw, x.raw, Int64(stride), Int64(rows), Int64(inputs))
        var want = [UInt8](repeating: 0, count: panelBytes)
        for row in 0..<rows {
          for input in 0..<inputs {
            let element = type == DK_BF16 ? input / 2 * 32 + row * 2 + input % 2 : input * 16 + row
            for byte in 0..<bytes { want[element * bytes + byte] = source[(row * stride + input) * bytes + byte] }
          }
        }
        #expect(panel.elements == want, "\(rows) rows of \(inputs)")

        let back = Guarded<UInt8>(repeating: 0x55, count: ((rows - 1) * stride + inputs) * bytes)
        unsafe dk_unpack_panel(type, back.raw, Int64(stride), panel.raw, Int64(rows), Int64(inputs))
        let wantBack = (0..<back.count).map { $0 / bytes % stride < inputs ? source[$0] : 0x55 }
        #expect(back.elements == wantBack, "\(rows) rows of \(inputs)")
      }
    }
  }

  @Test(arguments: elementTypes)
  func `an embedding row is the same from panels and from rows`(type: Int32) {
    let type = dk_type(rawValue: type)
    for inputs in [1, 2, 15, 64, 577] {
      let layer = LinearCase(outputs: 37, inputs: inputs, rows: 0, type: type, bias: false, seed: inputs)
      let rows = Guarded(Reference.stored(layer.weights, type).bytes)
      let ids = Guarded<Int32>([36, 0, 15, 16, 16, 31])
      let want = ids.elements.flatMap { id in layer.weights[Int(id) * inputs..<(Int(id) + 1) * inputs].map { $0 * 1.5 } }
      let fromPanels = Guarded<Float>(repeating: .nan, count: want.count), fromRows = Guarded<Float>(repeating: .nan, count: want.count)
      unsafe dk_gather_panels(type, fromPanels.base, Int64(inputs), layer.panels.raw, Int64(inputs), ids.base, 6, 1.5)
      unsafe dk_gather_rows(type, fromRows.base, Int64(inputs), rows.raw, Int64(inputs), ids.base, 6, 1.5)
      #expect(fromPanels.elements == want)
      #expect(fromRows.elements == want)
    }
  }
}
