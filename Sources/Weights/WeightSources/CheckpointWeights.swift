public import Checkpoints
import Safetensors
public import Schemes
public import Tensors

/// The weights of a TensorRT-LLM checkpoint, as they stand in its rank files.
///
/// A tensor that pruning emptied is described with an element count of 0; a reader of its values must look.
public final class CheckpointWeights: WeightSource {
  /// Opened and checked.
  public let checkpoint: Checkpoint

  /// - Parameter checkpoint: Its rank files stay open as long as this lives.
  public init(_ checkpoint: Checkpoint) { self.checkpoint = checkpoint }

  public var origin: String { checkpoint.directory.string }
  private func has(_ rank: Int) -> Bool { rank >= 0 && rank < checkpoint.config.mapping.worldSize }
  public func names(rank: Int) -> [String] { has(rank) ? checkpoint.file(ofRank: rank).names : [] }

  public func description(of name: String, rank: Int) -> TensorDescription? {
    guard has(rank), let found = checkpoint.file(ofRank: rank).header[name]?.description else { return nil }
    return TensorDescription(shape: rows(of: name, found.shape), elementType: found.elementType)
  }

  /// The shape of a stack of matrices as one matrix, and of what belongs to their rows as one vector.
  private func rows(of name: String, _ shape: [Int]) -> [Int] {
    if shape.count == 3, name.contains(".mlp.") { return [shape[0] * shape[1], shape[2]] }
    let parts = checkpoint.config.quantization.scheme?.coding?.parts ?? []
    guard shape.count == 2, parts.contains(where: { !$0.isMatrix && name.hasSuffix("." + $0.suffix) }) else { return shape }
    return [shape[0] * shape[1]]
  }

  public func scheme(of name: String, rank: Int) -> NumberScheme? {
    guard let description = description(of: name, rank: rank) else { return nil }
    let config = checkpoint.config
    if let scheme = config.quantization.scheme, let codes = scheme.coding?.parts.first, config.hasCodesInRows,
      codes.accepted.contains(description.elementType), config.quantization.covers(name)
    {
      return scheme
    }
    return .plain(description.elementType)
  }
  public func read(_ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    let file = checkpoint.file(ofRank: rank)
    guard let description = description(of: name, rank: rank), description.shape != file.header[name]?.description.shape else {
      return try unsafe file.read(name, rows: rows, into: destination)
    }
    try unsafe file.read(name, from: rows.lowerBound * description.rowByteCount, into: destination)
  }

  public func storedRows(of name: String, rank: Int) -> [StoredRows]? {
    guard let description = description(of: name, rank: rank) else { return nil }
    let file = checkpoint.file(ofRank: rank)
    let numbers = unsafe StoredNumbers(description.elementType, shape: description.shape) { rows, destination in
      try unsafe file.read(name, rows: rows, into: destination)
    }
    return [StoredRows(rows: 0..<description.rowCount, numbers)]
  }
}
