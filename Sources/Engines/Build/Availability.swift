import Checkpoints
import Networks
import Schemes
import Tensors
import WeightSources

/// Why a source cannot give one part of a weight.
enum Unavailable: Equatable {
  case missing(part: String)
  /// There, but with no elements: pruned.
  case emptied(part: String)
  case shape(part: String, wanted: [Int], found: [Int])
  /// Numbers that cannot become the weight's, such as whole numbers.
  case elementType(part: String, wanted: NumberScheme, found: NumberScheme)

  /// Every part that is in the way; none means that the recipe can run.
  static func parts(of weight: PlannedWeight, from source: any WeightSource, rank: Int) -> [Unavailable] {
    weight.recipe.inputs.flatMap { name, shape -> [Unavailable] in
      guard let found = source.description(of: name, rank: rank), let scheme = source.scheme(of: name, rank: rank) else {
        return [.missing(part: name)]
      }
      if found.elementCount == 0 { return [.emptied(part: name)] }
      let wanted = weight.scheme
      if let coding = scheme.coding {
        guard scheme == wanted else { return [.elementType(part: name, wanted: wanted, found: scheme)] }
        return coding.parts.compactMap { part in
          let name = part.name(of: name), shape = part.shape(of: shape)
          guard let found = source.description(of: name, rank: rank) else { return .missing(part: name) }
          guard found.shape == shape else { return .shape(part: name, wanted: shape, found: found.shape) }
          guard part.accepted.contains(found.elementType) else {
            return .elementType(part: name, wanted: .plain(part.elementType), found: .plain(found.elementType))
          }
          return nil
        }
      }
      guard found.shape == shape else { return [.shape(part: name, wanted: shape, found: found.shape)] }
      guard NumberFormat.converts(found.elementType, to: wanted.elementType ?? .float32) else {
        return [.elementType(part: name, wanted: wanted, found: scheme)]
      }
      return []
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
    // A model of two tables that lost one is no model of one table.
    guard let head = source.description(of: logits, rank: rank) else { return config.tieWordEmbeddings != false }
    if table.elementCount == 0 || head.elementCount == 0 { return config.tieWordEmbeddings ?? false }
    guard table == head else { return false }
    return try Comparison.equal(embedding, logits, in: source, rank: rank)
  }
}

extension EmbeddingSharing {
  /// Where a checkpoint says that it has one table for both, and holds a head that differs from it: both are used.
  ///
  /// On several pipeline stages, or where the table is shared out and the head not in the same way, nothing is compared.
  static func contradiction(config: CheckpointConfig, source: any WeightSource) throws -> SourceWarning? {
    guard config.tieWordEmbeddings == true, config.mapping.pipelineParallel == 1 else { return nil }
    for rank in 0..<config.mapping.worldSize {
      guard let table = source.description(of: embedding, rank: rank), let head = source.description(of: logits, rank: rank),
        table.elementCount > 0, head.elementCount > 0, table.shape.count == 2, head.shape.count == 2
      else { continue }
      let isWhole = table.rowCount == config.vocabularySize && head.rowCount < table.rowCount
      let first = isWhole ? rank * head.rowCount : 0
      let count = min(head.rowCount, table.rowCount - first)
      guard table.shape[1] == head.shape[1], table.elementType == head.elementType, count > 0, isWhole || table.shape == head.shape else { continue }
      if try !Comparison.equal(logits, embedding, in: source, rank: rank, rows: 0..<count, offset: first) {
        return SourceWarning(
          "tie_word_embeddings", in: "config.json", "is true, but '\(logits)' differs from '\(embedding)': both are used. Set it to false in config.json")
      }
    }
    return nil
  }
}

/// Compares tensors a tile at a time.
enum Comparison {
  /// - Parameters:
  ///   - rows: Of dimension 0; nil: all of tensors of one shape.
  ///   - offset: What row of `second` stands for the first of `first`.
  static func equal(
    _ first: String, _ second: String, in source: any WeightSource, rank: Int, rows wanted: Range<Int>? = nil, offset: Int = 0
  ) throws -> Bool {
    guard let description = source.description(of: first, rank: rank), let other = source.description(of: second, rank: rank),
      other == description || wanted != nil && other.rowByteCount == description.rowByteCount && other.elementType == description.elementType
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
      unsafe try source.read(second, rank: rank, rows: rows.lowerBound + offset..<rows.upperBound + offset, into: b)
      guard unsafe sameBytes(UnsafeRawBufferPointer(a), UnsafeRawBufferPointer(b)) else { return false }
      row = rows.upperBound
    }
    return true
  }
}
