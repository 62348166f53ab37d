import Synchronization
import Tensors
import Threads

/// Whether two tables hold the same values, read in tiles by all cores and no further than to the first difference.
enum TableComparison {
  private static let tileByteCount = 1 << 20

  private final class Equality: Sendable { let holds = Atomic(true) }

  /// - Parameter elementType: What both become before they are compared, where they are stored in different types.
  static func equal(_ first: String, _ second: String, in tensors: any NamedTensors, as elementType: ElementType) throws -> Bool {
    guard let left = tensors.description(of: first), let right = tensors.description(of: second), left.shape == right.shape else { return false }
    let isPlain = left.elementType == right.elementType
    guard isPlain || NumberFormat.converts(left.elementType, to: elementType) && NumberFormat.converts(right.elementType, to: elementType)
    else { return false }
    let step = max(1, tileByteCount / max(1, max(left.rowByteCount, right.rowByteCount)))
    let tileCount = (left.rowCount + step - 1) / step
    @Sendable func values(_ name: String, _ description: TensorDescription, _ rows: Range<Int>) throws -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: rows.count * description.rowByteCount)
      try unsafe bytes.withUnsafeMutableBytes { try unsafe tensors.read(name, rows: rows, into: $0) }
      guard !isPlain else { return bytes }
      var converted = [UInt8](repeating: 0, count: bytes.count / (description.elementType.bitWidth / 8) * (elementType.bitWidth / 8))
      unsafe bytes.withUnsafeBytes { source in
        unsafe converted.withUnsafeMutableBytes { unsafe NumberFormat.convert(from: source, description.elementType, to: $0, elementType) }
      }
      return converted
    }
    let equality = Equality()
    try Parallel.forEach(tileCount, workers: Parallel.defaultWorkers) { tile in
      guard equality.holds.load(ordering: .relaxed) else { return }
      let rows = tile * step..<min((tile + 1) * step, left.rowCount)
      if try values(first, left, rows) != values(second, right, rows) { equality.holds.store(false, ordering: .relaxed) }
    }
    return equality.holds.load(ordering: .relaxed)
  }
}
