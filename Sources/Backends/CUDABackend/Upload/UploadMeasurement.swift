import CUDADriver
import Files
package import SystemPackage

/// For `drydock-gpu-check`: how fast files reach a card, and what happens when its memory is full.
package enum UploadMeasurement {
  /// Bytes a second of a whole file, with so many threads and so many more buffers of so many bytes.
  ///
  /// - Parameter maps: Reads a mapping of the file rather than the file.
  package static func rate(of path: FilePath, workers: Int, moreBuffers: Int, byteCount: Int, maps: Bool) throws -> Double {
    let device = try Device()
    let file = try ReadableFile(path)
    let mapping = try MappedFile(file)
    let memory = try DeviceMemory(device, byteCount: file.byteCount, for: "a file")
    let run = unsafe UploadRun(
      byteCount: file.byteCount, address: memory.address,
      read: { offset, buffer in
        guard maps else { return try unsafe file.read(at: offset, into: buffer) }
        unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(start: mapping.baseAddress + offset, count: buffer.count))
      }, name: "a file")
    let upload = try Upload(device, Upload.Shape(workers: workers, moreBuffers: moreBuffers, byteCount: byteCount))
    let time = try ContinuousClock().measure { try upload([run]) }
    return Double(file.byteCount) / (time / .seconds(1))
  }

  /// What opening an engine takes beside its bytes, in seconds.
  package static func startParts() throws -> [(what: String, seconds: Double)] {
    let clock = ContinuousClock()
    var parts: [(what: String, seconds: Double)] = []
    func measure<R>(_ what: String, _ body: () throws -> R) rethrows -> R {
      let start = clock.now
      let result = try body()
      parts.append((what, (clock.now - start) / .seconds(1)))
      return result
    }
    let device = try measure("the card's context") { try Device() }
    let code = try measure("compiling kernels") { try RuntimeCompiler.code(architecture: device.architecture, headSize: 128, cache: KernelCache(nil)) }
    _ = try measure("loading kernels") { try Kernels(device, code: code, headSize: 128) }
    _ = try measure("pinning 64 MiB") { try PinnedMemory(device, byteCount: 64 << 20) }
    _ = try measure("16 GiB of its memory") { try DeviceMemory(device, byteCount: 16 << 30, for: "a measurement") }
    return parts
  }
}

/// All of a card's memory but a rest, while it lives.
package final class HeldDeviceMemory {
  private let memory: DeviceMemory
  package init(leaving rest: Int) throws {
    let device = try Device()
    memory = try DeviceMemory(device, byteCount: max(256, try device.freeByteCount - rest), for: "nothing")
  }
}
