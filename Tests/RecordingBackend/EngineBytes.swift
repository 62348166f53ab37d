import Engines
import Files
import Safetensors

/// What stands in an engine file's weights, as numbers.
struct EngineBytes {
  private let file: EngineFile
  init(_ file: EngineFile) throws { self.file = file }

  func digest(_ name: String) throws -> UInt64 {
    guard let entry = file.tensors.header[name] else { throw Fault("\(name) is not in \(file.path)") }
    let start = file.tensors.header.dataStart
    let bytes = try file.tensors.file.bytes(start + entry.range.lowerBound..<start + entry.range.upperBound)
    return unsafe bytes.withUnsafeBytes { unsafe Self.digest($0) }
  }

  /// FNV-1a, 64 bits.
  static func digest(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var sum: UInt64 = 0xCBF2_9CE4_8422_2325
    for index in bytes.indices { sum = unsafe (sum ^ UInt64(bytes[index])) &* 0x100_0000_01B3 }
    return sum
  }
}
