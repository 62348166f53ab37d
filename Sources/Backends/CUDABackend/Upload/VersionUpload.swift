import CUDADriver
import Engines
import Synchronization

/// Copies to the card what the processor made for a version of weights, each memory once however many versions have it.
final class VersionUpload: Sendable {
  private struct Weak { weak var version: CUDAWeights? }
  private let device: Device
  private let upload: Upload
  private let versions = Mutex<[Weak]>([])

  init(_ device: Device, _ upload: Upload) { (self.device, self.upload) = (device, upload) }

  /// - Throws: ``CUDAError``. Nothing is kept then.
  func callAsFunction(_ made: [String: WeightMemory]) throws -> [String: MadeWeight] {
    let known = versions.withLock { $0.compactMap(\.version) }
    var found: [String: MadeWeight] = [:]
    var offsets: [(name: String, host: WeightMemory, offset: Int)] = []
    var byteCount = 0
    for (name, host) in made.sorted(by: { $0.key < $1.key }) {
      if let weight = host.device as? CUDAMadeWeight {
        precondition(weight.isOn(upload), "\(name): made by another engine")
        found[name] = MadeWeight(host: host, memory: weight.memory, offset: weight.offset)
      } else if let shared = known.lazy.compactMap({ $0.made[name] }).first(where: { $0.host === host }) {
        found[name] = shared
      } else {
        offsets.append((name, host, byteCount))
        byteCount += (host.byteCount + 255) / 256 * 256
      }
    }
    guard byteCount > 0 else { return found }
    let memory = try DeviceMemory(device, byteCount: byteCount, for: "new weights", isPassing: true)
    try upload(offsets.map { UploadRun($0.host, to: memory.address + UInt64($0.offset), name: $0.name) })
    for (name, host, offset) in offsets { found[name] = MadeWeight(host: host, memory: memory, offset: offset) }
    return found
  }

  /// Lets versions that are made later share what this one has.
  func add(_ version: CUDAWeights) {
    versions.withLock { versions in
      versions.removeAll { $0.version == nil }
      versions.append(Weak(version: version))
    }
  }
}

extension UploadRun {
  /// A weight that nobody writes to any more.
  fileprivate init(_ host: WeightMemory, to address: dk_cuda_pointer, name: String) {
    unsafe self.init(
      byteCount: host.byteCount, address: address,
      read: { offset, buffer in unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(start: host.baseAddress + offset, count: buffer.count)) },
      name: name)
  }
}
