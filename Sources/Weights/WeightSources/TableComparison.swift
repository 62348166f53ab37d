import Dispatch
import Synchronization
import Tensors

/// Whether two tables hold the same values, read in tiles by all cores and no further than to the first difference.
enum TableComparison {
  private static let tileByteCount = 1 << 20

  /// - Parameter elementType: What both become before they are compared, where they are stored in different types.
  static func equal(_ first: String, _ second: String, in tensors: any NamedTensors, as elementType: ElementType) throws -> Bool {
    guard let left = tensors.description(of: first), let right = tensors.description(of: second), left.shape == right.shape else { return false }
    let isPlain = left.elementType == right.elementType
    guard isPlain || NumberFormat.converts(left.elementType, to: elementType) && NumberFormat.converts(right.elementType, to: elementType)
    else { return false }
    let step = max(1, tileByteCount / max(1, max(left.rowByteCount, right.rowByteCount)))
    let tileCount = (left.rowCount + step - 1) / step
    let next = Atomic(0)
    let state = Mutex<(isEqual: Bool, failure: (any Error)?)>((true, nil))
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
    DispatchQueue.concurrentPerform(iterations: max(1, min(tileCount, 8))) { _ in
      while state.withLock({ $0.isEqual && $0.failure == nil }) {
        let tile = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard tile < tileCount else { return }
        let rows = tile * step..<min((tile + 1) * step, left.rowCount)
        do {
          if try values(first, left, rows) != values(second, right, rows) { state.withLock { $0.isEqual = false } }
        } catch {
          state.withLock { $0.failure = error }
        }
      }
    }
    let (isEqual, failure) = state.withLock { $0 }
    if let failure { throw failure }
    return isEqual
  }
}
