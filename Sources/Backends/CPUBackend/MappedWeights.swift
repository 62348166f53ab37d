import CPUKernels
import Engines
import Files
import Networks
import OrderedCollections
import Tensors

/// A rank's weights in the engine file, used where they lie.
@safe final class MappedWeights: Sendable {
  private let mapping: MappedFile
  private let offsets: [String: Int]

  /// - Throws: ``EngineError`` where a weight is absent.
  init(_ engine: EngineFile) throws {
    guard !engine.isStripped else {
      throw EngineError(engine.path, .stripped(missing: engine.missingWeights))
    }
    // The file whose header was read, whatever the path leads to by now.
    mapping = try MappedFile(engine.tensors.file)
    let header = engine.tensors.header
    offsets = Dictionary(uniqueKeysWithValues: header.entries.map { ($0.name, header.dataStart + $0.range.lowerBound) })
  }

  /// The weight's first byte; as large as the plan says, which the engine file has proven. Lives as long as this object.
  func pointer(_ name: String) -> UnsafeRawPointer {
    guard let offset = offsets[name] else { preconditionFailure("\(name): every weight of a plan is in a full engine") }
    return unsafe mapping.baseAddress + offset
  }
}
