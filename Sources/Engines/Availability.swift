import Checkpoints
import Networks
import Tensors
import WeightSources

/// Whether a source can make a weight.
enum Availability: Equatable {
  case available
  case missing(part: String)
  /// There, but with no elements: pruned.
  case emptied(part: String)
  case shape(part: String, wanted: [Int], found: [Int])

  static func of(_ weight: PlannedWeight, from source: any WeightSource, rank: Int) -> Availability {
    for (name, shape) in weight.recipe.inputs {
      guard let found = source.description(of: name, rank: rank) else { return .missing(part: name) }
      if found.shape != shape {
        return found.elementCount == 0 ? .emptied(part: name) : .shape(part: name, wanted: shape, found: found.shape)
      }
      guard NumberFormat.converts(found.elementType, to: weight.elementType) else {
        return .shape(part: "\(name) (\(found.elementType.rawValue))", wanted: shape, found: found.shape)
      }
    }
    return .available
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
  static func equal(_ first: String, _ second: String, in source: any WeightSource, rank: Int) throws -> Bool {
    guard let description = source.description(of: first, rank: rank),
      source.description(of: second, rank: rank) == description
    else { return false }
    var left = Scratch(), right = Scratch()
    let rowBytes = description.rowByteCount
    let tileRows = max(1, WeightMaker.tileByteCount / max(1, rowBytes))
    var row = 0
    while row < description.rowCount {
      let rows = row..<min(row + tileRows, description.rowCount)
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
