public import Checkpoints
import Safetensors
public import Schemes
public import Tensors

/// The weights of a TensorRT-LLM checkpoint, as they stand in its rank files.
///
/// A tensor that pruning emptied is described with an element count of 0; whoever needs its values must look.
public final class CheckpointWeights: WeightSource {
  public let checkpoint: Checkpoint

  public init(_ checkpoint: Checkpoint) { self.checkpoint = checkpoint }

  public var origin: String { checkpoint.directory.string }
  private func has(_ rank: Int) -> Bool { rank >= 0 && rank < checkpoint.config.mapping.worldSize }
  public func names(rank: Int) -> [String] { has(rank) ? checkpoint.file(ofRank: rank).names : [] }

  public func description(of name: String, rank: Int) -> TensorDescription? {
    has(rank) ? checkpoint.file(ofRank: rank).header[name]?.description : nil
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
    try unsafe checkpoint.file(ofRank: rank).read(name, rows: rows, into: destination)
  }
}
