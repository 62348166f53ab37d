import Engines
import Files

/// A weight as it stands in an engine's file.
enum EngineWeightBytes {
  static func of(_ name: String, _ engine: EngineFile) throws -> [UInt8] {
    let header = engine.tensors.header
    guard let range = header[name]?.range else { return [] }
    return try engine.tensors.file.bytes(header.dataStart + range.lowerBound..<header.dataStart + range.upperBound)
  }
}
