import Execution
import Networks

/// Cosines and sines of the positions that sequences have reached, on the card; the same numbers as the CPU's.
final class RotaryMemory {
  private let rotary: RotaryEmbedding
  let cosines: DeviceMemory
  let sines: DeviceMemory
  private var isThere: [Bool]

  /// Positions that are computed and copied together.
  private static let blockPositions = 64

  init(_ rotary: RotaryEmbedding, positions: Int, _ device: Device) throws(CUDAError) {
    self.rotary = rotary
    isThere = Array(repeating: false, count: (positions + Self.blockPositions - 1) / Self.blockPositions)
    let count = isThere.count * Self.blockPositions * (rotary.dimension / 2) * MemoryLayout<Float>.stride
    cosines = try DeviceMemory(device, byteCount: count, for: "positions")
    sines = try DeviceMemory(device, byteCount: count, for: "positions")
  }

  /// Copies what a step needs and none before it did, before the step on its stream.
  func reach(_ batch: Batch, _ stream: Stream) throws {
    for slice in batch.sequences where !slice.rows.isEmpty {
      let last = slice.firstPosition + slice.rows.count - 1
      for block in slice.firstPosition / Self.blockPositions...last / Self.blockPositions where !isThere[block] {
        let first = block * Self.blockPositions
        let tables = rotary.tables(positions: first..<first + Self.blockPositions)
        let offset = UInt64(first * (rotary.dimension / 2) * MemoryLayout<Float>.stride)
        try copy(tables.cosines, to: cosines.address + offset, stream)
        try copy(tables.sines, to: sines.address + offset, stream)
        isThere[block] = true
      }
    }
  }

  private func copy(_ values: [Float], to address: UInt64, _ stream: Stream) throws {
    try unsafe values.withUnsafeBytes { unsafe try stream.copy($0, to: address, "positions") }
  }
}
