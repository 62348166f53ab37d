import CPUKernels
public import Tensors

/// Between row-major rows and panels of 16. The C functions move the elements; this knows sizes.
public enum PanelPacking {
  private static func kernelType(_ type: ElementType) -> dk_type {
    switch type {
    case .float16: DK_F16
    case .bfloat16: DK_BF16
    default: DK_F32
    }
  }

  /// Bytes of so many panels. An odd last column of bfloat16 takes as much as two.
  public static func byteCount(panels: Int, columns: Int, _ type: ElementType) -> Int {
    panels * Int(dk_panel_bytes(kernelType(type), Int64(columns)))
  }

  /// - Parameters:
  ///   - source: `[rows, columns]`, row-major.
  ///   - destination: `⌈rows/16⌉` panels; rows beyond `rows` become zero.
  public static func pack(
    _ source: UnsafeRawBufferPointer, rows: Int, columns: Int, _ type: ElementType,
    into destination: UnsafeMutableRawBufferPointer
  ) {
    let unit = WeightLayout.panelRows
    let panelBytes = byteCount(panels: 1, columns: columns, type)
    let rowBytes = columns * type.bitWidth / 8
    guard let input = source.baseAddress, let output = destination.baseAddress else { return }
    for first in stride(from: 0, to: rows, by: unit) {
      unsafe dk_pack_panel(
        kernelType(type), output + first / unit * panelBytes, input + first * rowBytes, Int64(columns),
        Int64(min(unit, rows - first)), Int64(columns))
    }
  }

  /// - Parameters:
  ///   - source: Panels that hold rows `rows`, counted from the first panel's first row.
  ///   - destination: `[rows.count, columns]`, row-major.
  public static func unpack(
    _ source: UnsafeRawBufferPointer, rows: Range<Int>, columns: Int, _ type: ElementType,
    into destination: UnsafeMutableRawBufferPointer
  ) {
    let unit = WeightLayout.panelRows
    let panelBytes = byteCount(panels: 1, columns: columns, type)
    let rowBytes = columns * type.bitWidth / 8
    guard let input = source.baseAddress, let output = destination.baseAddress else { return }
    var row = rows.lowerBound
    while row < rows.upperBound {
      let panel = row / unit
      let within = row % unit..<min(unit, rows.upperBound - panel * unit)
      let target = unsafe output + (row - rows.lowerBound) * rowBytes
      if within.lowerBound == 0 {
        unsafe dk_unpack_panel(
          kernelType(type), target, Int64(columns), input + panel * panelBytes, Int64(within.count), Int64(columns))
      } else {  // only the first panel of a tile can start in its middle
        unsafe withUnsafeTemporaryAllocation(byteCount: within.upperBound * rowBytes, alignment: 64) { whole in
          guard let start = whole.baseAddress else { return }
          unsafe dk_unpack_panel(
            kernelType(type), start, Int64(columns), input + panel * panelBytes, Int64(within.upperBound), Int64(columns))
          unsafe target.copyMemory(from: start + within.lowerBound * rowBytes, byteCount: within.count * rowBytes)
        }
      }
      row += within.count
    }
  }
}
