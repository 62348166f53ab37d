import CUDADriver
import Engines
import Files
import Safetensors

/// The weights of an engine's file in one piece of a card's memory, in the file's order and alignment.
final class FileWeights: Sendable {
  let memory: DeviceMemory
  let byteCount: Int
  private let offsets: [String: Int]
  private let file: ReadableFile
  private let dataStart: Int

  /// Memory for them; nothing is in it before ``load(_:)``.
  ///
  /// - Throws: ``CUDAError`` where the card has not so much memory.
  init(_ engine: EngineFile, _ device: Device) throws(CUDAError) {
    let header = engine.tensors.header
    // What the target made when the engine was built may lie behind them.
    byteCount = header.entries.reduce(0) { engine.plan.weights[$1.name] == nil ? $0 : max($0, $1.range.upperBound) }
    memory = try DeviceMemory(device, byteCount: byteCount, for: "weights")
    offsets = Dictionary(uniqueKeysWithValues: header.entries.map { ($0.name, $0.range.lowerBound) })
    (file, dataStart) = (engine.tensors.file, header.dataStart)
  }

  /// Copies them.
  ///
  /// - Throws: ``CUDAError``; `FileError` where the file was cut short.
  func load(_ upload: Upload) throws {
    let (file, dataStart) = (file, dataStart)
    try upload([
      unsafe UploadRun(
        byteCount: byteCount, address: memory.address, read: { offset, buffer in try unsafe file.read(at: dataStart + offset, into: buffer) },
        name: "weights")
    ])
  }

  func address(_ name: String) -> dk_cuda_pointer {
    guard let offset = offsets[name] else { preconditionFailure("\(name): every weight of a plan is in a full engine") }
    return memory.address + UInt64(offset)
  }
}
