import CPUKernels
import TestSupport

/// A linear layer with random weights, packed here element by element from the layout's definition.
@safe final class LinearCase {
  let outputs: Int, inputs: Int, rows: Int
  let type: dk_type
  /// Values as stored: `[outputs, inputs]`, `[outputs]`.
  let weights: [Float], bias: [Float]?
  let x: [Float]
  let panels: Guarded<UInt8>
  private let storedBias: Guarded<UInt8>?
  let linear: dk_linear

  init(outputs: Int, inputs: Int, rows: Int, type: dk_type, bias withBias: Bool, seed: Int) {
    var random = SeededGenerator(seed)
    self.outputs = outputs
    self.inputs = inputs
    self.rows = rows
    self.type = type
    let elementBytes = Int(dk_type_bytes(type))
    let stored = Reference.stored(random.floats(outputs * inputs), type)
    weights = stored.values
    var bytes = [UInt8](repeating: 0, count: Int(dk_panel_bytes(type, Int64(inputs)) * dk_panel_count(Int64(outputs))))
    let depth = type == DK_BF16 ? (inputs + 1) / 2 * 2 : inputs
    for output in 0..<outputs {
      for input in 0..<inputs {
        let element =
          type == DK_BF16
          ? output / 16 * depth * 16 + input / 2 * 32 + output % 16 * 2 + input % 2
          : output / 16 * depth * 16 + input * 16 + output % 16
        for byte in 0..<elementBytes {
          bytes[element * elementBytes + byte] = stored.bytes[(output * inputs + input) * elementBytes + byte]
        }
      }
    }
    panels = Guarded(bytes)
    if withBias {
      let stored = Reference.stored(random.floats(outputs), type)
      bias = stored.values
      storedBias = Guarded(stored.bytes)
    } else {
      bias = nil
      storedBias = nil
    }
    x = random.floats(rows * inputs)
    unsafe linear = dk_linear(
      panels: UnsafeRawPointer(panels.raw), bias: storedBias.map { unsafe UnsafeRawPointer($0.raw) }, n: Int64(outputs),
      k: Int64(inputs), type: type, bias_type: type)
  }

  var panelCount: Int { Int(dk_panel_count(Int64(outputs))) }

  /// `x W^T + bias` in double precision, and the tolerance that the contract gives each element.
  func expected(x: [Float]) -> (values: [Double], tolerances: [Double]) {
    var values: [Double] = [], tolerances: [Double] = []
    for row in 0..<rows {
      for output in 0..<outputs {
        var sum = Double(bias?[output] ?? 0), size = abs(sum)
        for input in 0..<inputs {
          let product = Double(x[row * inputs + input]) * Double(weights[output * inputs + input])
          sum += product
          size += abs(product)
        }
        values.append(sum)
        tolerances.append(Double(inputs + 2) * 0x1p-24 * size)
      }
    }
    return (values, tolerances)
  }

  /// Rows `rows` of `x`, computed by decode on the panels `panels`; columns of other panels stay `untouched`.
  func decode(_ isa: dk_isa, tactic: Int32, x: [Float], rows: Int, panels: Range<Int>? = nil) -> [Float] {
    let input = Guarded(x), out = Guarded(repeating: Self.untouched, count: rows * outputs)
    let panels = panels ?? 0..<panelCount
    unsafe withUnsafePointer(to: linear) {
      unsafe dk_linear_decode(
        isa, tactic, $0, input.base, Int64(inputs), out.base, Int64(outputs), Int64(rows), Int64(panels.lowerBound),
        Int64(panels.upperBound))
    }
    return out.elements
  }

  enum Prefill { case tactic(dk_isa, Int32), emulatedTiles }

  /// All rows of `x`, of which `rowRange` are computed; the rest stay `untouched`.
  func prefill(_ kernel: Prefill, x: [Float], rows: Int, rowRange: Range<Int>? = nil, panels: Range<Int>? = nil) -> [Float] {
    let out = Guarded(repeating: Self.untouched, count: rows * outputs)
    let rowRange = rowRange ?? 0..<rows, panels = panels ?? 0..<panelCount
    let floats = Guarded(x)
    let stride = type == DK_BF16 ? Int(dk_rounded_stride(Int64(inputs))) : inputs
    let rounded = Guarded<UInt16>(repeating: 0xffff, count: type == DK_BF16 ? rows * stride : 0)
    if type == DK_BF16 {
      unsafe dk_round_rows(DK_PORTABLE, rounded.base, floats.base, Int64(inputs), Int64(rows), Int64(inputs))
    }
    unsafe withUnsafePointer(to: linear) {
      switch kernel {
      case .tactic(let isa, let tactic):
        unsafe dk_linear_prefill(
          isa, tactic, $0, type == DK_BF16 ? rounded.raw : floats.raw, Int64(stride), out.base, Int64(outputs),
          Int64(rowRange.lowerBound), Int64(rowRange.upperBound), Int64(panels.lowerBound), Int64(panels.upperBound), nil)
      case .emulatedTiles:
        unsafe dk_linear_prefill_amx_emulated(
          $0, rounded.base, Int64(stride), out.base, Int64(outputs), Int64(rowRange.lowerBound),
          Int64(rowRange.upperBound), Int64(panels.lowerBound), Int64(panels.upperBound))
      }
    }
    return out.elements
  }

  /// `x` as prefill sees it.
  var seenByPrefill: [Float] { type == DK_BF16 ? Reference.stored(x, DK_BF16).values : x }

  static var untouched: Float { 12345.678 }

  static let inputSizes = [1, 2, 15, 17, 64, 576, 577]
  static let outputSizes = [1, 15, 16, 17, 48, 80]
  static let rowCounts = [1, 2, 7, 16, 33]

  /// Every size with every other, each with new numbers; a bias in every second case.
  static func all(_ type: dk_type) -> [LinearCase] {
    var cases: [LinearCase] = []
    for inputs in inputSizes {
      for outputs in outputSizes {
        for rows in rowCounts {
          cases.append(
            LinearCase(outputs: outputs, inputs: inputs, rows: rows, type: type, bias: cases.count % 2 == 0, seed: cases.count))
        }
      }
    }
    return cases
  }
  var name: String { "[\(outputs), \(inputs)], \(rows) rows, type \(type.rawValue), bias \(bias != nil)" }
}

extension [Float] {
  var bits: [UInt32] { map(\.bitPattern) }
}
