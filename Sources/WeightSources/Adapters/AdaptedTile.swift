import CPUKernels
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
      let aligned = UnsafeMutableRawBufferPointer.allocate(byteCount: destination.count, alignment: 64)
      defer { unsafe aligned.deallocate() }
      try unsafe fill(aligned)
      unsafe destination.copyMemory(from: UnsafeRawBufferPointer(aligned))
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
      switch change {
      case .replaced(let piece):
        try unsafe piece.read(rows: sourceRows, as: .float32, from: weights.replacements, into: target)
      case .lowRank(let lowRank):
        if weights.replacements.description(of: piece.source) != nil {
          // PEFT also saves the tables themselves when embeddings are adapted; they are the base of the change.
          try unsafe piece.read(rows: sourceRows, as: .float32, from: weights.replacements, into: target)
        }
        let factors = try Factors(lowRank, rows: sourceRows, weights.adapter)
        let columnStart = piece.columns?.lowerBound ?? 0
        try unsafe factors.add(to: target, columns: columnStart..<columnStart + columns, strength: weights.strength)
        if let magnitude = lowRank.magnitude {
          try unsafe rescale(target, magnitude, factors, piece, sourceRows: sourceRows, targetRows: wanted)
        }
      }
    }
  }

  /// The base's rows as float32. Nothing is read where every row is replaced.
  private func readBase(into destination: UnsafeMutableRawBufferPointer) throws {
    let allReplaced = touched.changes.allSatisfy { if case .replaced = $0 { true } else { false } }
      && touched.tensor.pieces.reduce(0) { $0 + $1.rows.count } == touched.tensor.shape[0]
    if !allReplaced { try unsafe Self.readFloats(weights.base, name, rank: rank, rows: rows, into: destination) }
  }

  private static func readFloats(
    _ base: any WeightSource, _ name: String, rank: Int, rows: Range<Int>, into destination: UnsafeMutableRawBufferPointer
  ) throws {
    guard let description = base.description(of: name, rank: rank) else {
      throw WeightSourceError(base.origin, .missing(names: ["rank \(rank): \(name)"]))
    }
    if description.elementType == .float32 { return try unsafe base.read(name, rank: rank, rows: rows, into: destination) }
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: rows.count * description.rowByteCount, alignment: 64)
    defer { unsafe scratch.deallocate() }
    try unsafe base.read(name, rank: rank, rows: rows, into: scratch)
    unsafe NumberFormat.convert(from: UnsafeRawBufferPointer(scratch), description.elementType, to: destination, .float32)
  }

  /// DoRA: every row gets the length that the adapter says. `target` holds `W + scale · B·A` of this rank's columns.
  ///
  /// The length of a row counts all its columns. Where they are spread over tensor-parallel ranks, the others' are
  /// computed here too, since no rank can be asked for more than its own.
  private func rescale(
    _ target: UnsafeMutableRawBufferPointer, _ magnitude: String, _ factors: Factors, _ piece: ShardLayout.Piece,
    sourceRows: Range<Int>, targetRows: Range<Int>
  ) throws {
    var squares = [Double](repeating: 0, count: sourceRows.count)
    unsafe Self.addSquares(target, columns: columns, to: &squares)
    if piece.columns != nil {
      let mapping = weights.layout.mapping
      for other in 0..<mapping.tensorParallel where other != mapping.tensorRank(of: rank) {
        let otherRank = mapping.rank(tensor: other, context: mapping.contextRank(of: rank), pipeline: mapping.pipelineRank(of: rank))
        guard let tensor = weights.layout.tensor(name, rank: otherRank),
          let otherColumns = tensor.pieces.first(where: { $0.source == piece.source })?.columns
        else { continue }
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: sourceRows.count * otherColumns.count * 4, alignment: 64)
        defer { unsafe scratch.deallocate() }
        try unsafe Self.readFloats(weights.base, name, rank: otherRank, rows: targetRows, into: scratch)
        try unsafe factors.add(to: scratch, columns: otherColumns, strength: weights.strength)
        unsafe Self.addSquares(scratch, columns: otherColumns.count, to: &squares)
      }
    }
    let lengths = try Factors.floats(magnitude, rows: sourceRows, weights.adapter)
    let values = unsafe target.assumingMemoryBound(to: Float.self)
    for row in squares.indices {
      let factor = lengths[row] / Float(squares[row].squareRoot())
      for column in row * columns..<(row + 1) * columns { unsafe values[column] = factor * values[column] }
    }
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

/// The rows of B that a tile needs and all of A, in float32.
private struct Factors {
  /// `[rows, rank]`
  let up: [Float]
  /// `[rank, columns of the whole weight]`
  let down: [Float]
  let rank: Int
  let rowCount: Int
  let scale: Double

  /// - Parameter rows: Output rows of the whole weight.
  init(_ change: LoRAAdapter.LowRank, rows: Range<Int>, _ adapter: LoRAAdapter) throws {
    rank = change.rank
    rowCount = rows.count
    scale = change.scale
    if change.isEmbedding {
      // Stored the other way round: A is [r, rows], B is [columns, r].
      var up = [Float](repeating: 0, count: rows.count * change.rank)
      for k in 0..<change.rank {
        for (row, value) in try Self.floats(change.down, row: k, columns: rows, adapter).enumerated() { up[row * change.rank + k] = value }
      }
      self.up = up
      down = try Self.transposed(change.up, adapter)
    } else {
      up = try Self.floats(change.up, rows: rows, adapter)
      down = try Self.floats(change.down, rows: 0..<change.rank, adapter)
    }
  }

  /// Adds `strength · scale · B·A` of some columns to packed rows.
  func add(to target: UnsafeMutableRawBufferPointer, columns: Range<Int>, strength: Double) throws {
    let stride = down.count / rank
    let weights = unsafe target.assumingMemoryBound(to: Float.self)
    unsafe up.withUnsafeBufferPointer { up in
      unsafe down.withUnsafeBufferPointer { down in
        guard let w = weights.baseAddress, let b = up.baseAddress, let a = down.baseAddress else { return }
        unsafe dk_add_low_rank(
          dk_best_isa(), w, Int64(columns.count), b, a + columns.lowerBound, Int64(stride), Int64(rowCount), Int64(columns.count),
          Int64(rank), Float(strength * scale))
      }
    }
  }

  /// Rows of one of the adapter's tensors.
  static func floats(_ name: String, rows: Range<Int>, _ adapter: LoRAAdapter) throws -> [Float] {
    let description = try adapter.file.entry(name).description
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: rows.count * description.rowByteCount, alignment: 64)
    defer { unsafe bytes.deallocate() }
    try unsafe adapter.file.read(name, rows: rows, into: bytes)
    return unsafe convert(UnsafeRawBufferPointer(bytes), description.elementType)
  }

  /// Some columns of one row.
  private static func floats(_ name: String, row: Int, columns: Range<Int>, _ adapter: LoRAAdapter) throws -> [Float] {
    let entry = try adapter.file.entry(name)
    let elementBytes = entry.description.elementType.bitWidth / 8
    let start = adapter.file.header.dataStart + entry.range.lowerBound + row * entry.description.rowByteCount
    let bytes = try adapter.file.file.bytes(start + columns.lowerBound * elementBytes..<start + columns.upperBound * elementBytes)
    return unsafe bytes.withUnsafeBytes { unsafe convert($0, entry.description.elementType) }
  }

  /// The whole tensor `[n, m]` as `[m, n]`.
  private static func transposed(_ name: String, _ adapter: LoRAAdapter) throws -> [Float] {
    let shape = try adapter.file.entry(name).description.shape
    let values = try floats(name, rows: 0..<shape[0], adapter)
    var result = [Float](repeating: 0, count: values.count)
    for row in 0..<shape[0] {
      for column in 0..<shape[1] { result[column * shape[0] + row] = values[row * shape[1] + column] }
    }
    return result
  }

  private static func convert(_ bytes: UnsafeRawBufferPointer, _ type: ElementType) -> [Float] {
    unsafe [Float](unsafeUninitializedCapacity: bytes.count * 8 / type.bitWidth) { buffer, count in
      unsafe NumberFormat.convert(from: bytes, type, to: UnsafeMutableRawBufferPointer(buffer), .float32)
      count = bytes.count * 8 / type.bitWidth
    }
  }
}
