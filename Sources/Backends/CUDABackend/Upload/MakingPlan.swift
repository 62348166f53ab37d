import CUDAKernels
import Engines
import Schemes
import Tensors
import WeightSources

/// How much is sent, made and hashed together.
package struct MakingSizes: Sendable {
  /// Bytes of new weights after which a group is full.
  package var group = 1 << 30
  /// Bytes of a chunk at most, and how many there are at a time.
  package var chunk = 32 << 20
  package var places = 6
  /// Bytes of a piece at most.
  package var piece = Upload.bufferByteCount
  /// Bytes that one launch makes of what the card has: more keeps steps waiting.
  package var launch = 32 << 20
  package init() {}
}

/// What is sent to a card, and where it lies there, to make weights of it. Needs no card.
///
/// Weights are put into groups, which have a piece of memory each and whose digests are computed together. Numbers that the card has not are sent in
/// chunks, which take turns in a few places, each in pieces that a buffer carries.
struct MakingPlan {
  /// Consecutive rows of a weight, from the numbers of one of its parts.
  struct Part {
    let weight: Int
    /// Which of the order's ``WeightOrder/rows``.
    let segment: Int
    /// Some of that.
    let rows: StoredRows
    /// Of the place where its numbers begin.
    let place: Int
    /// The first stored row that lies there, a panel of layouts that have them.
    let firstStored: Int
  }
  struct Group {
    var weights: Range<Int>
    var byteCount = 0
    var leafCount = 0
    var chunkCount = 0
    /// Of what the card has: with the address of all of its numbers.
    var resident: [(part: Part, address: UInt64)] = []
  }
  struct Chunk {
    let group: Int
    var parts: [Part] = []
    var byteCount = 0
    var pieceCount = 0
  }
  struct Piece {
    let chunk: Int
    let part: Int
    let storedRows: Range<Int>
    /// Of the chunk's place.
    let place: Int
    let byteCount: Int
  }
  private(set) var groups: [Group] = []
  private(set) var chunks: [Chunk] = []
  private(set) var pieces: [Piece] = []
  /// By weight: its group, where it begins in the group's memory, and its first leaf there.
  private(set) var places: [(group: Int, offset: Int, firstLeaf: Int)] = []
  let sizes: MakingSizes

  /// - Parameter resident: The address of numbers that the card has.
  init(_ orders: [WeightOrder], sizes: MakingSizes = MakingSizes(), resident: (StoredNumbers) -> UInt64?) {
    self.sizes = sizes
    for (weight, order) in orders.enumerated() {
      if groups.last.map({ $0.byteCount >= sizes.group }) ?? true {
        close()
        groups.append(Group(weights: weight..<weight))
      }
      let last = groups.count - 1
      places.append((last, groups[last].byteCount, groups[last].leafCount))
      groups[last].weights = groups[last].weights.lowerBound..<weight + 1
      groups[last].byteCount += (order.byteCount + 255) / 256 * 256
      groups[last].leafCount += (order.byteCount + Int(DK_CUDA_LEAF_BYTES) - 1) / Int(DK_CUDA_LEAF_BYTES)
      for (segment, rows) in order.rows.enumerated() {
        if let address = resident(rows.numbers) {
          let columns = order.program.columns
          let step = rows.numbers.shape.count == 1 ? rows.rows.count : Self.rows(sizes.launch / max(1, 2 * columns))
          cut(rows, by: step) { groups[last].resident.append((Part(weight: weight, segment: segment, rows: $0, place: 0, firstStored: 0), address)) }
        } else {
          send(rows, weight, segment)
        }
      }
    }
    close()
  }

  /// Whether a weight can be made so: its rows, and panels of its source, fit a piece.
  static func canMake(_ order: WeightOrder) -> Bool {
    guard case .plain(.bfloat16) = order.program.scheme, order.program.layout == .rows || order.program.layout == .panel16x2 else { return false }
    return order.rows.allSatisfy { rows in
      let numbers = rows.numbers
      let isVector = numbers.shape.count == 1
      guard [.bfloat16, .float16, .float32].contains(numbers.elementType), (isVector ? numbers.shape[0] * 4 : numbers.unitByteCount) <= Upload.bufferByteCount,
        rows.rounding == nil || rows.rounding == .bfloat16 || rows.rounding == .float32,
        rows.additions.count <= Int(DK_CUDA_MOST_LOW_RANK), rows.additions.isEmpty || !isVector
      else { return false }
      switch numbers.layout {
      case .rows: return true
      case .panel16x2: return numbers.elementType == .bfloat16 && !isVector
      case .panel16, .panel16x4: return false
      }
    }
  }

  /// Whole panels of output, at least one.
  private static func rows(_ count: Int) -> Int { max(1, count / WeightLayout.panelRows) * WeightLayout.panelRows }

  /// Pieces of so many rows, which end where panels of the weight do.
  private func cut(_ rows: StoredRows, by step: Int, _ body: (StoredRows) -> Void) {
    var row = rows.rows.lowerBound
    while row < rows.rows.upperBound {
      let end = step < WeightLayout.panelRows ? row + step : (row + step) / WeightLayout.panelRows * WeightLayout.panelRows
      if let part = rows.clamped(to: row..<max(row + 1, end)) { body(part) }
      row = max(row + 1, end)
    }
  }

  private mutating func close() {
    guard let last = groups.indices.last, chunks.last?.group == last else { return }
    groups[last].chunkCount = chunks.reduce(0) { $0 + ($1.group == last ? 1 : 0) }
  }

  private mutating func send(_ rows: StoredRows, _ weight: Int, _ segment: Int) {
    let numbers = rows.numbers
    let unit = numbers.unitByteCount, unitRows = numbers.unitRows
    var rest: StoredRows? = rows
    while let now = rest {
      if chunks.last?.group != groups.count - 1 { chunks.append(Chunk(group: groups.count - 1)) }
      let room = (sizes.chunk - (chunks.last?.byteCount ?? 0)) / unit * unitRows - (unitRows - 1)
      var count = min(now.rows.count, room)
      if count < now.rows.count, numbers.shape.count == 1 { count = 0 }  // whole
      if count > 0, count < now.rows.count {
        // Where a panel of the weight ends, if that leaves any.
        let end = (now.rows.lowerBound + count) / WeightLayout.panelRows * WeightLayout.panelRows
        if end > now.rows.lowerBound { count = end - now.rows.lowerBound } else if chunks.last?.byteCount ?? 0 > 0 { count = 0 }
      }
      guard count > 0, let part = now.clamped(to: now.rows.lowerBound..<now.rows.lowerBound + count) else {
        chunks.append(Chunk(group: groups.count - 1))
        continue
      }
      add(part, weight, segment)
      rest = now.clamped(to: part.rows.upperBound..<now.rows.upperBound)
    }
  }

  private mutating func add(_ rows: StoredRows, _ weight: Int, _ segment: Int) {
    let numbers = rows.numbers
    let (unit, unitRows, last) = (numbers.unitByteCount, numbers.unitRows, chunks.count - 1)
    let stored = rows.firstRow / unitRows..<(rows.firstRow + rows.rows.count + unitRows - 1) / unitRows
    let place = chunks[last].byteCount
    chunks[last].parts.append(Part(weight: weight, segment: segment, rows: rows, place: place, firstStored: stored.lowerBound))
    let step = max(1, sizes.piece / unit)
    for first in stride(from: stored.lowerBound, to: stored.upperBound, by: step) {
      let some = first..<min(first + step, stored.upperBound)
      pieces.append(
        Piece(
          chunk: last, part: chunks[last].parts.count - 1, storedRows: some, place: place + (first - stored.lowerBound) * unit,
          byteCount: some.count * unit))
      chunks[last].pieceCount += 1
    }
    chunks[last].byteCount += (stored.count * unit + 255) / 256 * 256
  }
}

extension StoredNumbers {
  /// Rows that are stored together.
  var unitRows: Int { layout == .rows ? 1 : WeightLayout.panelRows }
  private var columns: Int { shape.count == 2 ? shape[1] : 1 }
  /// Bytes of those.
  var unitByteCount: Int { layout == .rows ? columns * elementType.bitWidth / 8 : (columns + 1) / 2 * 4 * WeightLayout.panelRows }
}
