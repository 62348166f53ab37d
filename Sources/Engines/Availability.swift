import Checkpoints
import Networks
import Tensors
import WeightSources

/// Why a source cannot give one part of a weight.
enum Unavailable: Equatable {
  case missing(part: String)
  /// There, but with no elements: pruned.
  case emptied(part: String)
  case shape(part: String, wanted: [Int], found: [Int])
  /// Elements that cannot become the weight's, such as whole numbers.
  case elementType(part: String, wanted: ElementType, found: ElementType)

  /// Every part that is in the way; none means that the recipe can run.
  static func parts(of weight: Recipe, _ elementType: ElementType, from source: any WeightSource, rank: Int) -> [Unavailable] {
    weight.inputs.compactMap { name, shape in
      guard let found = source.description(of: name, rank: rank) else { return .missing(part: name) }
      if found.shape != shape {
        return found.elementCount == 0 ? .emptied(part: name) : .shape(part: name, wanted: shape, found: found.shape)
      }
      guard NumberFormat.converts(found.elementType, to: elementType) else {
        return .elementType(part: name, wanted: elementType, found: found.elementType)
      }
      return nil
    }
  }
}

/// Whether lm_head and the embedding table are one weight of the engine, as upstream decides it: by their values.
enum EmbeddingSharing {
  static let embedding = "transformer.vocab_embedding.weight"
  static let logits = "lm_head.weight"

  static func decide(config: CheckpointConfig, source: any WeightSource, rank: Int) throws -> Bool {
    // Sharded or on different stages, they are different tables.
    guard config.mapping.tensorParallel == 1, config.mapping.pipelineParallel == 1 else { return false }
    guard let table = source.description(of: embedding, rank: rank) else { return false }
    guard let head = source.description(of: logits, rank: rank) else { return true }
    if table.elementCount == 0 || head.elementCount == 0 { return config.tieWordEmbeddings ?? false }
    guard table == head else { return false }
    return try Comparison.equal(embedding, logits, in: source, rank: rank)
  }
}

/// Compares tensors a tile at a time.
enum Comparison {
  /// - Parameter rows: Of dimension 0; nil: all.
  static func equal(
    _ first: String, _ second: String, in source: any WeightSource, rank: Int, rows wanted: Range<Int>? = nil
  ) throws -> Bool {
    guard let description = source.description(of: first, rank: rank),
      source.description(of: second, rank: rank) == description
    else { return false }
    var left = Scratch(), right = Scratch()
    let rowBytes = description.rowByteCount
    let tileRows = max(1, WeightMaker.tileByteCount / max(1, rowBytes))
    let wanted = wanted ?? 0..<description.rowCount
    var row = wanted.lowerBound
    while row < wanted.upperBound {
      let rows = row..<min(row + tileRows, wanted.upperBound)
      let a = unsafe left.bytes(rows.count * rowBytes)
      let b = unsafe right.bytes(rows.count * rowBytes)
      unsafe try source.read(first, rank: rank, rows: rows, into: a)
      unsafe try source.read(second, rank: rank, rows: rows, into: b)
      guard unsafe sameBytes(UnsafeRawBufferPointer(a), UnsafeRawBufferPointer(b)) else { return false }
      row = rows.upperBound
    }
    return true
  }
}
