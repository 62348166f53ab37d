import Safetensors
import Tensors

/// Whether an adapter does the same to two weights of one shape, so that one stored table can stand for both.
struct AdapterSameness {
  private let file: SafetensorsFile
  init(_ file: SafetensorsFile) { self.file = file }

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
    if one.isTransposed == other.isTransposed { return isSame(one.down, other.down) && isSame(one.up, other.up) }
    return isTransposed(one.down, other.down) && isTransposed(one.up, other.up)
  }

  /// The same bytes, or neither.
  private func isSame(_ one: String?, _ other: String?) -> Bool {
    guard let one, let other else { return one == nil && other == nil }
    if one == other { return true }
    guard let description = file.header[one]?.description, description == file.header[other]?.description,
      let a = file.header[one]?.range, let b = file.header[other]?.range
    else { return false }
    let start = file.header.dataStart
    let step = 1 << 20
    for offset in stride(from: 0, to: a.count, by: step) {
      let count = min(step, a.count - offset)
      guard let left = try? file.file.bytes(start + a.lowerBound + offset..<start + a.lowerBound + offset + count),
        let right = try? file.file.bytes(start + b.lowerBound + offset..<start + b.lowerBound + offset + count),
        left == right
      else { return false }
    }
    return true
  }

  /// Factors of a table are small enough to be held whole; larger ones count as different.
  private func isTransposed(_ one: String, _ other: String) -> Bool {
    guard let a = file.header[one]?.description, let b = file.header[other]?.description, a.elementType == b.elementType,
      a.shape.count == 2, a.shape == b.shape.reversed(), let left = bytes(one), let right = bytes(other)
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

  private func bytes(_ name: String) -> [UInt8]? {
    guard let range = file.header[name]?.range, range.count <= 256 << 20 else { return nil }
    let start = file.header.dataStart
    return try? file.file.bytes(start + range.lowerBound..<start + range.upperBound)
  }
}
