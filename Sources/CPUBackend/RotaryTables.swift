import Engines
import Execution
import Networks

/// Cosines and sines of the positions that sequences have reached: few have as many tokens as a model has positions.
///
/// One for all ranks of an engine, which turn positions alike.
@safe final class RotaryTables: @unchecked Sendable {  // written between steps, by the one thread that starts them
  let rotary: RotaryEmbedding
  /// `[positions, dimension / 2]`; what no sequence has reached was never written to, so it takes no memory.
  private let cosineRows: AlignedBuffer
  private let sineRows: AlignedBuffer
  private var isComputed: [Bool]

  /// Positions that are computed together: some tens of microseconds, which a decode step does not notice.
  static let blockPositions = 64

  /// Nothing is computed yet.
  ///
  /// - Throws: ``AlignedBuffer/NoMemory``.
  init(_ rotary: RotaryEmbedding, positions: Int) throws {
    self.rotary = rotary
    isComputed = Array(repeating: false, count: (positions + Self.blockPositions - 1) / Self.blockPositions)
    let count = isComputed.count * Self.blockPositions * (rotary.dimension / 2)
    cosineRows = try AlignedBuffer(reserving: count * MemoryLayout<Float>.stride)
    sineRows = try AlignedBuffer(reserving: count * MemoryLayout<Float>.stride)
  }

  /// Computes what a step needs and none before it did. No rank may be computing.
  func reach(_ batch: Batch) {
    for slice in batch.sequences where !slice.rows.isEmpty {
      let last = slice.firstPosition + slice.rows.count - 1
      for block in slice.firstPosition / Self.blockPositions...last / Self.blockPositions where !isComputed[block] {
        compute(block)
        isComputed[block] = true
      }
    }
  }

  private func compute(_ block: Int) {
    let first = block * Self.blockPositions
    let (cosines, sines) = rotary.tables(positions: first..<first + Self.blockPositions)
    let offset = first * (rotary.dimension / 2)
    for index in cosines.indices {
      unsafe cosineRows.floats[offset + index] = cosines[index]
      unsafe sineRows.floats[offset + index] = sines[index]
    }
  }

  /// Of position 0; rows that ``reach(_:)`` has computed may be read. Live as long as this object.
  var cosines: UnsafePointer<Float> { unsafe UnsafePointer(cosineRows.floats) }
  var sines: UnsafePointer<Float> { unsafe UnsafePointer(sineRows.floats) }
}
