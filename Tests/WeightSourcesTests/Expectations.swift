import Files
import JSON
import Safetensors
import SystemPackage
import Tensors
import WeightSources

/// Files made by the Python scripts in `Scripts/reference`.
enum Expected {
  static let directory = FilePath(#filePath).removingLastComponent().appending("Expected")
  static func file(_ name: String) throws -> SafetensorsFile { try SafetensorsFile(directory.appending(name)) }
  static func json(_ name: String) throws -> JSONValue {
    try JSONValue(parsing: ReadableFile.contents(of: directory.appending(name)))
  }
}

/// FNV-1a over 64 bits, as hexadecimal digits.
func fnv(_ bytes: [UInt8]) -> String {
  var value: UInt64 = 0xCBF2_9CE4_8422_2325
  for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

/// Bytes as float32, whatever of the three types they are.
func floats(_ bytes: [UInt8], _ type: ElementType) -> [Float] {
  var result = [Float](repeating: 0, count: bytes.count * 8 / type.bitWidth)
  unsafe bytes.withUnsafeBytes { source in
    unsafe result.withUnsafeMutableBytes { target in unsafe NumberFormat.convert(from: source, type, to: target, .float32) }
  }
  return result
}

/// Reads a tensor in tiles of `step` rows, each into a buffer that starts at an odd address.
func bytes(of name: String, rank: Int, step: Int, from source: any WeightSource) throws -> [UInt8] {
  guard let description = source.description(of: name, rank: rank) else { return [] }
  var result: [UInt8] = []
  for start in stride(from: 0, to: description.rowCount, by: step) {
    let rows = start..<min(start + step, description.rowCount)
    var tile = [UInt8](repeating: 0xAA, count: rows.count * description.rowByteCount + 1)
    try unsafe tile.withUnsafeMutableBytes { buffer in
      try unsafe source.read(name, rank: rank, rows: rows, into: UnsafeMutableRawBufferPointer(rebasing: buffer[1...]))
    }
    result += tile.dropFirst()
  }
  return result
}

/// The message of what `body` throws; nil where it does not.
func message(_ body: () throws -> Void) -> String? {
  do { try body() } catch { return "\(error)" }
  return nil
}

/// Cuts a file short in place, as another program might.
func truncate(_ path: FilePath, to byteCount: Int) throws {
  let file = try FileDescriptor.open(path, .readWrite)
  try file.closeAfter { try file.resize(to: Int64(byteCount)) }
}
