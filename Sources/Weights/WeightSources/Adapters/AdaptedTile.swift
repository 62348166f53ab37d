import Tensors

/// Some rows of one touched tensor, on their way to float32.
struct AdaptedTile {
  private let weights: AdaptedWeights
  private let touched: AdaptedWeights.Touched
  private let name: String
  private let rank: Int
  private let rows: Range<Int>

  init(_ weights: AdaptedWeights, _ touched: AdaptedWeights.Touched, name: String, rank: Int, rows: Range<Int>) {
    self.weights = weights
    self.touched = touched
    self.name = name
    self.rank = rank
    self.rows = rows
  }

  /// - Parameter destination: float32, exactly the rows.
  func compute(into destination: UnsafeMutableRawBufferPointer) throws {
    precondition(destination.count == rows.count * columns * 4, "the buffer does not fit the rows")
    let isAligned = UInt(bitPattern: destination.baseAddress) % 4 == 0
    if isAligned {
      try unsafe fill(destination)
    } else {
      try unsafe weights.scratch.with(destination.count) { aligned in
        try unsafe fill(aligned)
        unsafe destination.copyMemory(from: UnsafeRawBufferPointer(aligned))
      }
    }
  }

  private var columns: Int { touched.tensor.shape.dropFirst().reduce(1, *) }

  private func fill(_ destination: UnsafeMutableRawBufferPointer) throws {
    try unsafe readBase(into: destination)
    for (piece, change) in zip(touched.tensor.pieces, touched.changes) {
      let wanted = rows.clamped(to: piece.targetRows)
      guard let change, !wanted.isEmpty else { continue }
      let first = (wanted.lowerBound - rows.lowerBound) * columns * 4
      let target = unsafe UnsafeMutableRawBufferPointer(rebasing: destination[first..<first + wanted.count * columns * 4])
      let start = piece.rows.lowerBound + wanted.lowerBound - piece.firstRow
      let sourceRows = start..<start + wanted.count
      try unsafe add(change, to: target, piece, sourceRows: sourceRows) { factors, magnitude in
        try unsafe rescale(target, magnitude, factors, piece, change, sourceRows: sourceRows, targetRows: wanted)
      }
      if let lowRank = change.lowRank {
        if let magnitude = lowRank.magnitude, lowRank.scalesColumns { try unsafe rescaleColumns(target, magnitude, piece, change) }
        if wanted.upperBound == piece.targetRows.upperBound { weights.factors.drop(lowRank.down) }
      }
      if let (name, scale) = change.addedBias { try unsafe addBias(target, name, scale, sourceRows: sourceRows) }
    }
  }

  /// Everything but lengths of columns and a bias.
  ///
  /// - Parameters:
  ///   - target: The base's rows in float32, of the piece's columns.
  ///   - rescale: Called where each row is to get a length.
  private func add(
    _ change: AdapterChange, to target: UnsafeMutableRawBufferPointer, _ piece: ShardLayout.Piece, sourceRows: Range<Int>,
    rescale: (LowRankFactors, _ magnitude: String) throws -> Void
  ) throws {
    if change.replacement != nil {
      // PEFT also saves the tables themselves when embeddings are adapted; they are the base of the change.
      try unsafe touched.tensor.read(piece, rows: sourceRows, as: .float32, from: weights.replacements, into: target)
    }
    if let tokens = change.tokens { try unsafe replaceRows(target, tokens, piece, sourceRows: sourceRows) }
    guard let lowRank = change.lowRank else { return }
    let columns = piece.columns ?? 0..<self.columns
    try LowRankFactors.with(lowRank, rows: sourceRows, weights.adapter.file, weights.factors, weights.scratch) { factors in
      unsafe factors.add(to: target, columns: columns, strength: weights.strength)
      if let magnitude = lowRank.magnitude, !lowRank.scalesColumns { try rescale(factors, magnitude) }
    }
  }

  /// The base's rows as float32. Nothing is read where every row is replaced.
  private func readBase(into destination: UnsafeMutableRawBufferPointer) throws {
    let allReplaced =
      touched.changes.allSatisfy { $0?.isWhole == true }
      && touched.tensor.pieces.reduce(0) { $0 + $1.rows.count } == touched.tensor.shape[0]
    if !allReplaced { try unsafe readFloats(rank: rank, rows: rows, into: destination) }
  }

  private func readFloats(rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer) throws {
    let base = weights.base
    guard let description = base.description(of: name, rank: rank) else {
      throw WeightSourceError(base.origin, .missing(names: ["rank \(rank): \(name)"]))
    }
    if description.elementType == .float32 { return try unsafe base.read(name, rank: rank, rows: rows, into: destination) }
    try unsafe weights.scratch.with(rows.count * description.rowByteCount) { scratch in
      try unsafe base.read(name, rank: rank, rows: rows, into: scratch)
      unsafe NumberFormat.convert(from: UnsafeRawBufferPointer(scratch), description.elementType, to: destination, .float32)
    }
  }

  /// Rows of a table that the adapter has itself.
  private func replaceRows(
    _ target: UnsafeMutableRawBufferPointer, _ tokens: AdapterChange.Tokens, _ piece: ShardLayout.Piece, sourceRows: Range<Int>
  ) throws {
    let first = piece.columns?.lowerBound ?? 0
    for (index, row) in tokens.rows.enumerated() where sourceRows.contains(row) {
      let values = try LowRankFactors.floats(tokens.values, rows: index..<index + 1, weights.adapter.file, weights.scratch)
      let place = (row - sourceRows.lowerBound) * columns * 4
      unsafe values[first..<first + columns].withUnsafeBytes {
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[place..<place + columns * 4]).copyMemory(from: $0)
      }
    }
  }

  /// What `lora_bias` adds to a module's bias.
  private func addBias(_ target: UnsafeMutableRawBufferPointer, _ name: String, _ scale: Double, sourceRows: Range<Int>) throws {
    let added = try LowRankFactors.floats(name, rows: sourceRows, weights.adapter.file, weights.scratch)
    let values = unsafe target.assumingMemoryBound(to: Float.self)
    let factor = Float(weights.strength * scale)
    for index in added.indices { unsafe values[index] += factor * added[index] }
  }

  /// DoRA: every row gets the length that the adapter says. `target` holds `W + scale · B·A` of this rank's columns.
  ///
  /// The length of a row counts all its columns. Where they are spread over tensor-parallel ranks, the others' are
  /// computed here too, since no rank can be asked for more than its own.
  private func rescale(
    _ target: UnsafeMutableRawBufferPointer, _ magnitude: String, _ factors: LowRankFactors, _ piece: ShardLayout.Piece,
    _ change: AdapterChange, sourceRows: Range<Int>, targetRows: Range<Int>
  ) throws {
    var squares = [Double](repeating: 0, count: sourceRows.count)
    unsafe Self.addSquares(target, columns: columns, to: &squares)
    if piece.columns != nil {
      let mapping = weights.layout.mapping
      for other in 0..<mapping.tensorParallel where other != mapping.tensorRank(of: rank) {
        let otherRank = mapping.rank(tensor: other, context: mapping.contextRank(of: rank), pipeline: mapping.pipelineRank(of: rank))
        guard let tensor = weights.layout.tensor(name, rank: otherRank),
          let otherPiece = tensor.pieces.first(where: { $0.source == piece.source }), let otherColumns = otherPiece.columns
        else { continue }
        try unsafe weights.scratch.with(sourceRows.count * otherColumns.count * 4) { scratch in
          if change.replacement != nil {
            try unsafe tensor.read(otherPiece, rows: sourceRows, as: .float32, from: weights.replacements, into: scratch)
          } else {
            try unsafe readFloats(rank: otherRank, rows: targetRows, into: scratch)
          }
          unsafe factors.add(to: scratch, columns: otherColumns, strength: weights.strength)
          unsafe Self.addSquares(scratch, columns: otherColumns.count, to: &squares)
        }
      }
    }
    let lengths = try LowRankFactors.floats(magnitude, rows: sourceRows, weights.adapter.file, weights.scratch)
    let values = unsafe target.assumingMemoryBound(to: Float.self)
    for row in squares.indices {
      let factor = lengths[row] / Float(squares[row].squareRoot())
      for column in row * columns..<(row + 1) * columns { unsafe values[column] = factor * values[column] }
    }
  }

  /// DoRA on a table: every column gets the length that the adapter says. `target` holds `W + scale · B·A`.
  private func rescaleColumns(
    _ target: UnsafeMutableRawBufferPointer, _ magnitude: String, _ piece: ShardLayout.Piece, _ change: AdapterChange
  ) throws {
    let range = piece.columns ?? 0..<columns
    let lengths = try weights.columnLengths.lengths(.init(table: piece.source, columns: range)) { try columnSquares(piece, change) }
    let wanted = try LowRankFactors.floats(magnitude, rows: range, weights.adapter.file, weights.scratch)
    let factors = zip(wanted, lengths).map { $0 / $1 }
    let values = unsafe target.assumingMemoryBound(to: Float.self)
    for start in stride(from: 0, to: values.count, by: columns) {
      for column in 0..<columns { unsafe values[start + column] = factors[column] * values[start + column] }
    }
  }

  /// Of every column of the piece, over all rows of the table; the rows that other ranks hold are computed here too.
  private func columnSquares(_ piece: ShardLayout.Piece, _ change: AdapterChange) throws -> [Double] {
    let mapping = weights.layout.mapping
    let ranks =
      piece.rows.count == piece.sourceShape[0]
      ? [rank]
      : (0..<mapping.tensorParallel).map { mapping.rank(tensor: $0, context: mapping.contextRank(of: rank), pipeline: mapping.pipelineRank(of: rank)) }
    var squares = [Double](repeating: 0, count: columns)
    let step = max(1, (1 << 18) / columns)
    for holder in ranks {
      guard let held = weights.layout.tensor(name, rank: holder)?.pieces.first(where: { $0.source == piece.source }) else { continue }
      for first in stride(from: 0, to: held.rows.count, by: step) {
        let count = min(step, held.rows.count - first)
        let sourceRows = held.rows.lowerBound + first..<held.rows.lowerBound + first + count
        try unsafe weights.scratch.with(count * columns * 4) { target in
          if change.replacement == nil { try unsafe readFloats(rank: holder, rows: held.firstRow + first..<held.firstRow + first + count, into: target) }
          try unsafe add(change, to: target, held, sourceRows: sourceRows) { _, _ in }
          let values = unsafe target.assumingMemoryBound(to: Float.self)
          for row in 0..<count {
            for column in 0..<columns {
              let value = unsafe Double(values[row * columns + column])
              squares[column] += value * value
            }
          }
        }
      }
    }
    return squares
  }

  /// Sums in Double over eight lanes, which is closer to the true length than float32 in any order.
  private static func addSquares(_ rows: UnsafeMutableRawBufferPointer, columns: Int, to squares: inout [Double]) {
    let values = unsafe rows.assumingMemoryBound(to: Float.self)
    for row in squares.indices {
      var lanes = SIMD8<Double>()
      let start = row * columns
      var column = 0
      while column + 8 <= columns {
        var part = SIMD8<Float>()
        for lane in 0..<8 { part[lane] = unsafe values[start + column + lane] }
        let wide = SIMD8<Double>(part)
        lanes += wide * wide
        column += 8
      }
      var sum = lanes.sum()
      while column < columns {
        let value = unsafe Double(values[start + column])
        sum += value * value
        column += 1
      }
      squares[row] += sum
    }
  }
}
