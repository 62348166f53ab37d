import Execution
import Networks

/// Cosines and sines of the positions that sequences have reached, on the card; the same numbers as the CPU's.
final class RotaryMemory {
  private let rotary: RotaryEmbedding
  let cosines: DeviceMemory
  let sines: DeviceMemory
  private var reached: ReachedPositions

  init(_ rotary: RotaryEmbedding, positions: Int, _ device: Device) throws(CUDAError) {
    self.rotary = rotary
    reached = ReachedPositions(positions: positions)
    let count = reached.count * (rotary.dimension / 2) * MemoryLayout<Float>.stride
    cosines = try DeviceMemory(device, byteCount: count, for: "positions")
    sines = try DeviceMemory(device, byteCount: count, for: "positions")
  }

  /// Copies what a step needs and none before it did, before the step on its stream.
  func reach(_ batch: Batch, _ stream: Stream) throws {
    try reached.reach(batch) { positions in
      let tables = rotary.tables(positions: positions)
      let offset = UInt64(positions.lowerBound * (rotary.dimension / 2) * MemoryLayout<Float>.stride)
      try copy(tables.cosines, to: cosines.address + offset, stream)
      try copy(tables.sines, to: sines.address + offset, stream)
    }
  }

  private func copy(_ values: [Float], to address: UInt64, _ stream: Stream) throws {
    try unsafe values.withUnsafeBytes { unsafe try stream.copy($0, to: address, "positions") }
  }
}
