import Digests
import Safetensors
import Tensors

extension PlannedArtifact {
  /// As the engine file's header declares it.
  var stored: TensorDescription { TensorDescription(shape: [byteCount], elementType: .uint8) }
}

extension EngineFile {
  /// The bytes of one of the plan's artifacts, which are those that the plan says.
  ///
  /// - Throws: ``EngineError`` where they are not; `SafetensorsError` where they cannot be read.
  public func bytes(of artifact: PlannedArtifact) throws -> [UInt8] {
    let bytes = try storedBytes(of: artifact)
    guard SHA256.hash(bytes).hexadecimal == artifact.digest else { throw EngineError(path, .damagedArtifact(artifact.name)) }
    return bytes
  }

  /// As they are in the file.
  func storedBytes(of artifact: PlannedArtifact) throws -> [UInt8] {
    try tensors.bytes(of: artifact.name)
  }
}

extension EngineWriter.Rank {
  /// Artifacts of the plan: those of the engine before, byte for byte, or those that the target made.
  func writeArtifacts(to writer: SafetensorsWriter) throws {
    for artifact in plan.artifacts {
      if let previous {
        try writer.clone(artifact.name, rows: artifact.byteCount, from: previous)
      } else if let made = artifacts.first(where: { $0.planned == artifact }) {
        try writer.write(artifact.name, made.bytes)
      } else {
        preconditionFailure("\(artifact.name): made with the plan")
      }
    }
  }
}
