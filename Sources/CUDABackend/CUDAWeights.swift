import CUDADriver
import Engines
import Execution
import Files
import Networks
import Safetensors

/// One version of an engine's weights on the card: every operation knows its addresses.
///
/// Costs no memory but for what was made for it: weights that it does not replace are those of the engine's file.
@safe final class CUDAWeights: WeightVersion, @unchecked Sendable {  // `graphs` is the engine's, which is used by one thread at a time
  let steps: [ResolvedStep]
  private let file: FileWeights
  private let made: [String: DeviceMemory]
  /// Steps that were recorded with these addresses.
  var graphs: [StepShape: Graph] = [:]

  init(_ plan: Plan, file: FileWeights, made: [String: DeviceMemory] = [:]) {
    self.file = file
    self.made = made
    steps = ResolvedStep.resolve(plan) { made[$0]?.address ?? file.address($0) }
  }
}

/// What launches of a decode step depend on, beside what is copied to the card.
struct StepShape: Hashable {
  var rows: Int
  /// Of the longest sequence, rounded up.
  var splits: Int
}

/// The weights of an engine's file in one piece of a card's memory, in the file's order and alignment.
final class FileWeights: Sendable {
  let memory: DeviceMemory
  private let offsets: [String: Int]

  /// - Throws: ``CUDAError`` where the card has not so much memory, `FileError` where the file was cut short.
  init(_ engine: EngineFile, _ device: Device, _ stream: Stream) throws {
    let header = engine.tensors.header
    let mapping = try MappedFile(engine.tensors.file)
    let count = header.entries.reduce(0) { max($0, $1.range.upperBound) }
    memory = try DeviceMemory(device, byteCount: count, for: "weights")
    offsets = Dictionary(uniqueKeysWithValues: header.entries.map { ($0.name, $0.range.lowerBound) })
    unsafe try stream.copy(UnsafeRawBufferPointer(start: mapping.baseAddress + header.dataStart, count: count), to: memory.address, "weights")
    try stream.wait()
  }

  func address(_ name: String) -> dk_cuda_pointer {
    guard let offset = offsets[name] else { preconditionFailure("\(name): every weight of a plan is in a full engine") }
    return memory.address + UInt64(offset)
  }
}
