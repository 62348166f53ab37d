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
  private var reached: ReachedPositions

  /// Nothing is computed yet.
  ///
  /// - Throws: ``AlignedBuffer/NoMemory``.
  init(_ rotary: RotaryEmbedding, positions: Int) throws {
    self.rotary = rotary
    reached = ReachedPositions(positions: positions)
    let count = reached.count * (rotary.dimension / 2)
    cosineRows = try AlignedBuffer(reserving: count * MemoryLayout<Float>.stride)
    sineRows = try AlignedBuffer(reserving: count * MemoryLayout<Float>.stride)
  }

  /// Computes what a step needs and none before it did. No rank may be computing.
  func reach(_ batch: Batch) { reached.reach(batch, compute) }

  private func compute(_ positions: Range<Int>) {
    let (cosines, sines) = rotary.tables(positions: positions)
    let offset = positions.lowerBound * (rotary.dimension / 2)
    for index in cosines.indices {
      unsafe cosineRows.floats[offset + index] = cosines[index]
      unsafe sineRows.floats[offset + index] = sines[index]
    }
  }

  /// Of position 0; rows that ``reach(_:)`` has computed may be read. Live as long as this object.
  var cosines: UnsafePointer<Float> { unsafe UnsafePointer(cosineRows.floats) }
  var sines: UnsafePointer<Float> { unsafe UnsafePointer(sineRows.floats) }
}
