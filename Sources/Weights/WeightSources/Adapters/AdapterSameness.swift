import Tensors

/// Whether an adapter does the same to two weights of one shape, so that one stored table can stand for both.
struct AdapterSameness {
  private let file: any AdapterFile
  init(_ file: any AdapterFile) { self.file = file }

  func isSame(_ one: AdapterChange?, _ other: AdapterChange?) -> Bool {
    guard let one, let other else { return one == nil && other == nil }
    return isSame(one.replacement, other.replacement) && isSame(one.lowRank, other.lowRank) && isSame(one.tokens, other.tokens)
  }

  private func isSame(_ one: AdapterChange.Tokens?, _ other: AdapterChange.Tokens?) -> Bool {
    guard let one, let other else { return one == nil && other == nil }
    return one.rows == other.rows && isSame(one.values, other.values)
  }

  private func isSame(_ one: AdapterChange.LowRank?, _ other: AdapterChange.LowRank?) -> Bool {
    guard let one, let other else { return one == nil && other == nil }
    guard one.scale == other.scale, one.rank == other.rank, one.magnitude == nil, other.magnitude == nil else { return false }
    return isSame(one.down, one.isDownTransposed, other.down, other.isDownTransposed)
      && isSame(one.up, one.isUpTransposed, other.up, other.isUpTransposed)
  }

  private func isSame(_ one: String, _ isTurned: Bool, _ other: String, _ otherIsTurned: Bool) -> Bool {
    isTurned == otherIsTurned ? isSame(one, other) : isTransposed(one, other)
  }

  /// The same bytes, or neither.
  private func isSame(_ one: String?, _ other: String?) -> Bool {
    guard let one, let other else { return one == nil && other == nil }
    if one == other { return true }
    guard let description = file.description(of: one), description == file.description(of: other) else { return false }
    let step = max(1, (1 << 20) / max(1, description.rowByteCount))
    for start in stride(from: 0, to: description.rowCount, by: step) {
      let rows = start..<min(start + step, description.rowCount)
      guard let left = bytes(one, rows, description), let right = bytes(other, rows, description), left == right else { return false }
    }
    return true
  }

  /// Factors of a table are small enough to be held whole; larger ones count as different.
  private func isTransposed(_ one: String, _ other: String) -> Bool {
    guard let a = file.description(of: one), let b = file.description(of: other), a.elementType == b.elementType,
      a.shape.count == 2, a.shape == b.shape.reversed(), a.byteCount <= 256 << 20,
      let left = bytes(one, 0..<a.rowCount, a), let right = bytes(other, 0..<b.rowCount, b)
    else { return false }
    let size = a.elementType.bitWidth / 8
    let (rows, columns) = (a.shape[0], a.shape[1])
    for row in 0..<rows {
      for column in 0..<columns {
        let (from, to) = ((row * columns + column) * size, (column * rows + row) * size)
        guard left[from..<from + size].elementsEqual(right[to..<to + size]) else { return false }
      }
    }
    return true
  }

  private func bytes(_ name: String, _ rows: Range<Int>, _ description: TensorDescription) -> [UInt8]? {
    var result = [UInt8](repeating: 0, count: rows.count * description.rowByteCount)
    do { try unsafe result.withUnsafeMutableBytes { try unsafe file.read(name, rows: rows, into: $0) } } catch { return nil }
    return result
  }
}
