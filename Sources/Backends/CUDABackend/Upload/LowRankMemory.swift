import CUDADriver
import CUDAKernels
import Engines
import Files
import Synchronization
import Threads
import WeightSources

/// The factors of all low-rank changes of some weights, on a card.
final class LowRankMemory: Sendable {
  private struct Key: Hashable { let weight: Int, segment: Int, addition: Int }
  private struct Place {
    let up: Int, down: Int
    let addition: LowRankAddition
  }
  private let memory: DeviceMemory?
  private let places: [Key: Place]

  /// Reads all of them and sends them.
  init(_ orders: [WeightOrder], _ device: Device, _ upload: Upload, workers: Int) throws {
    var places: [Key: Place] = [:]
    var loads: [(offset: Int, count: Int, load: @Sendable () throws -> [Float])] = []
    var byteCount = 0
    for (weight, order) in orders.enumerated() {
      for (segment, rows) in order.rows.enumerated() {
        for (index, addition) in rows.additions.enumerated() {
          let wanted = addition.firstRow..<addition.firstRow + rows.rows.count
          let (up, down) = (wanted.count * addition.rank, addition.rank * order.program.columns)
          loads.append((byteCount, up, { try addition.up(wanted) }))
          loads.append((byteCount + Self.padded(up), down, { try addition.down() }))
          places[Key(weight: weight, segment: segment, addition: index)] = Place(up: byteCount, down: byteCount + Self.padded(up), addition: addition)
          byteCount += Self.padded(up) + Self.padded(down)
        }
      }
    }
    self.places = places
    guard byteCount > 0 else {
      memory = nil
      return
    }
    let memory = try DeviceMemory(device, byteCount: byteCount, for: "an adapter", isPassing: true)
    self.memory = memory
    let all = loads
    let values = try Parallel.map(all.count, workers: max(1, workers)) { index in
      let values = try all[index].load()
      precondition(values.count == all[index].count, "a factor has the shape that was checked")
      return values
    }
    try upload(
      all.indices.map { index in
        let numbers = values[index]
        return unsafe UploadRun(
          byteCount: numbers.count * 4, address: memory.address + UInt64(all[index].offset),
          read: { offset, buffer in
            unsafe numbers.withUnsafeBytes { unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + buffer.count])) }
          }, name: "an adapter")
      }, workers: workers)
  }

  /// - Parameter firstRow: Of the whole weight; those from it on are changed.
  func change(weight: Int, segment: Int, addition: Int, firstRow: Int) -> dk_low_rank {
    guard let place = places[Key(weight: weight, segment: segment, addition: addition)], let memory else {
      preconditionFailure("factors of all orders were sent")
    }
    let skipped = (firstRow - place.addition.firstRow) * place.addition.rank * 4
    return dk_low_rank(
      up: memory.address + UInt64(place.up + skipped), down: memory.address + UInt64(place.down), rank: Int32(place.addition.rank),
      scale: place.addition.scale)
  }

  private static func padded(_ count: Int) -> Int { (count * 4 + 255) / 256 * 256 }
}
