import CPUKernels
public import Tensors

/// TensorRT-LLM's `W8A16`: a weight is a whole number from -128 to 127 times the scale of its output.
///
/// Encoding takes scale = largest magnitude of the row / 127, rounded to bfloat16, and codes rounded to nearest even. So no
/// value is off by more than half a scale, and encoding decoded values gives the same codes and scales. (Upstream
/// divides by 128 and cuts the largest positive weight short.) A row with NaN or infinity decodes to NaN.
public enum Int8PerOutput: WeightCoding {
  public static let name = "W8A16"
  public static let layout = WeightLayout.panel16x4
  /// `weight` is the codes, `[N, K]`; `per_channel_scale` the scales, `[N]`, which upstream keeps in the model's type.
  public static let parts = [
    CodedPart(.codes, suffix: "weight", elementType: .int8, accepted: [.int8], isMatrix: true) { $0 },
    CodedPart(.scales, suffix: "per_channel_scale", elementType: .float32, accepted: [.bfloat16, .float16, .float32], isMatrix: false) { _ in 1 },
  ]

  /// 64 of scales, and 64 for each four columns.
  public static func panelByteCount(columns: Int) -> Int { Int(dk_panel_bytes(DK_I8, Int64(columns))) }

  public static func encode(_ source: UnsafeRawBufferPointer, rows: Int, columns: Int, into parts: [UnsafeMutableRawBufferPointer]) {
    let values = unsafe source.assumingMemoryBound(to: Float.self)
    let codes = unsafe parts[0].assumingMemoryBound(to: Int8.self), scales = unsafe parts[1].assumingMemoryBound(to: Float.self)
    guard let values = values.baseAddress, let codes = codes.baseAddress, let scales = scales.baseAddress else { return }
    let isa = dk_best_isa()
    for row in 0..<rows { unsafe dk_encode_int8(isa, codes + row * columns, scales + row, values + row * columns, Int64(columns)) }
  }

  public static func decode(_ parts: [UnsafeMutableRawBufferPointer], rows: Int, columns: Int, into destination: UnsafeMutableRawBufferPointer) {
    let codes = unsafe parts[0].assumingMemoryBound(to: Int8.self), scales = unsafe parts[1].assumingMemoryBound(to: Float.self)
    let values = unsafe destination.assumingMemoryBound(to: Float.self)
    for row in 0..<rows {
      let scale = unsafe scales[row]
      for column in 0..<columns { unsafe values[row * columns + column] = scale * Float(codes[row * columns + column]) }
    }
  }

  public static func pack(_ parts: [UnsafeMutableRawBufferPointer], rows: Int, columns: Int, into destination: UnsafeMutableRawBufferPointer) {
    let unit = WeightLayout.panelRows, panelBytes = panelByteCount(columns: columns)
    let codes = unsafe parts[0].assumingMemoryBound(to: Int8.self), scales = unsafe parts[1].assumingMemoryBound(to: Float.self)
    guard let codes = codes.baseAddress, let scales = scales.baseAddress, let output = destination.baseAddress else { return }
    for first in stride(from: 0, to: rows, by: unit) {
      unsafe dk_pack_int8_panel(
        output + first / unit * panelBytes, codes + first * columns, Int64(columns), scales + first, Int64(min(unit, rows - first)), Int64(columns))
    }
  }

  public static func unpack(_ source: UnsafeRawBufferPointer, rows: Int, columns: Int, into parts: [UnsafeMutableRawBufferPointer]) {
    let unit = WeightLayout.panelRows, panelBytes = panelByteCount(columns: columns)
    let codes = unsafe parts[0].assumingMemoryBound(to: Int8.self), scales = unsafe parts[1].assumingMemoryBound(to: Float.self)
    guard let codes = codes.baseAddress, let scales = scales.baseAddress, let input = source.baseAddress else { return }
    for first in stride(from: 0, to: rows, by: unit) {
      unsafe dk_unpack_int8_panel(
        codes + first * columns, Int64(columns), scales + first, input + first / unit * panelBytes, Int64(min(unit, rows - first)), Int64(columns))
    }
  }

  /// A row counts where its scale is NaN or infinite.
  public static func nonFiniteRows(_ source: UnsafeRawBufferPointer, columns: Int) -> Int {
    let panelBytes = panelByteCount(columns: columns)
    var count = 0
    for start in unsafe stride(from: 0, to: source.count / panelBytes * panelBytes, by: panelBytes) {
      guard let scales = unsafe source.baseAddress else { break }
      unsafe count += Int(dk_count_nonfinite(dk_best_isa(), scales + start, DK_F32, Int64(WeightLayout.panelRows)))
    }
    return count
  }
}
