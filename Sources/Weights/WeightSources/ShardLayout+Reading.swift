import Tensors

extension ShardLayout.Tensor {
  /// Reads rows of a rank's tensor out of whole tensors: slices, stacks, pads with zeros, converts.
  ///
  /// - Parameters:
  ///   - rows: Rows of the rank's tensor.
  ///   - elementType: What to write; ``NumberFormat/converts(_:to:)`` holds for every source.
  ///   - destination: Exactly the rows, packed.
  func read(
    rows: Range<Int>, as elementType: ElementType, from tensors: any NamedTensors,
    into destination: UnsafeMutableRawBufferPointer
  ) throws {
    let rowByteCount = shape.dropFirst().reduce(1, *) * elementType.bitWidth / 8
    precondition(destination.count == rows.count * rowByteCount, "the buffer does not fit the rows")
    if pieces.reduce(0, { $0 + $1.rows.count }) < shape[0] {  // padding somewhere
      if let base = destination.baseAddress { unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: destination.count) }
    }
    for piece in pieces {
      let wanted = rows.clamped(to: piece.targetRows)
      guard !wanted.isEmpty else { continue }
      let sourceStart = piece.rows.lowerBound + wanted.lowerBound - piece.firstRow
      let first = (wanted.lowerBound - rows.lowerBound) * rowByteCount
      let target = unsafe UnsafeMutableRawBufferPointer(rebasing: destination[first..<first + wanted.count * rowByteCount])
      try unsafe read(piece, rows: sourceStart..<sourceStart + wanted.count, as: elementType, from: tensors, into: target)
    }
  }

  /// Reads rows of a whole tensor, keeps the piece's columns, converts, adds the rule's offset where the tensors lack it.
  func read(
    _ piece: ShardLayout.Piece, rows: Range<Int>, as elementType: ElementType, from tensors: any NamedTensors,
    into destination: UnsafeMutableRawBufferPointer
  ) throws {
    try unsafe piece.read(rows: rows, as: elementType, from: tensors, into: destination)
    if offset != 0, !tensors.holdsOffsets { unsafe Self.add(offset, to: destination, elementType) }
  }

  /// What ``read(rows:as:from:into:)`` does, where every row is a whole row of a tensor.
  func storedRows(as elementType: ElementType, from tensors: any NamedTensors) -> [StoredRows]? {
    var parts: [StoredRows] = []
    var row = 0
    for piece in pieces {
      guard let description = tensors.description(of: piece.source), description.shape == piece.sourceShape, piece.firstRow == row,
        piece.columns == nil || piece.columns?.count == piece.sourceShape.last
      else { return nil }
      row += piece.rows.count
      let source = piece.source
      let numbers = unsafe StoredNumbers(description.elementType, shape: description.shape) { rows, destination in
        try unsafe tensors.read(source, rows: rows, into: destination)
      }
      parts.append(
        StoredRows(
          rows: piece.targetRows, numbers, firstRow: piece.rows.lowerBound,
          rounding: elementType == description.elementType ? nil : elementType, offset: tensors.holdsOffsets ? 0 : offset))
    }
    return row == shape[0] ? parts : nil
  }

  /// In float32, in which such tensors are read.
  private static func add(_ offset: Float, to target: UnsafeMutableRawBufferPointer, _ elementType: ElementType) {
    precondition(elementType == .float32, "tensors with an offset are read as float32")
    for start in stride(from: 0, to: target.count, by: MemoryLayout<Float>.stride) {
      let sum = unsafe target.loadUnaligned(fromByteOffset: start, as: Float.self) + offset
      unsafe target.storeBytes(of: sum, toByteOffset: start, as: Float.self)
    }
  }
}

extension ShardLayout.Piece {
  /// Reads whole-tensor rows `rows`, keeps this piece's columns, converts.
  fileprivate func read(
    rows: Range<Int>, as elementType: ElementType, from tensors: any NamedTensors,
    into destination: UnsafeMutableRawBufferPointer
  ) throws {
    guard let description = tensors.description(of: source) else {
      throw WeightSourceError(tensors.origin, .missing(names: [source]))
    }
    let isWhole = columns == nil || columns?.count == sourceShape.last
    if isWhole, description.elementType == elementType {
      return try unsafe tensors.read(source, rows: rows, into: destination)
    }
    let elementBytes = description.elementType.bitWidth / 8
    let targetRowBytes = destination.count / rows.count
    let columnBytes = (columns?.lowerBound ?? 0) * elementBytes..<(columns?.upperBound ?? description.rowElementCount) * elementBytes
    // Pieces of about half a megabyte: large enough for the disk, small enough for the second-level cache.
    let step = max(1, (512 << 10) / description.rowByteCount)
    let scratch = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(step, rows.count) * description.rowByteCount, alignment: 64)
    defer { unsafe scratch.deallocate() }
    var row = rows.lowerBound
    while row < rows.upperBound {
      let end = min(row + step, rows.upperBound)
      let bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: scratch[0..<(end - row) * description.rowByteCount])
      try unsafe tensors.read(source, rows: row..<end, into: bytes)
      let first = (row - rows.lowerBound) * targetRowBytes
      let target = unsafe UnsafeMutableRawBufferPointer(rebasing: destination[first..<first + (end - row) * targetRowBytes])
      if isWhole {
        unsafe NumberFormat.convert(from: UnsafeRawBufferPointer(bytes), description.elementType, to: target, elementType)
      } else {
        for index in 0..<end - row {
          let from = index * description.rowByteCount
          unsafe NumberFormat.convert(
            from: UnsafeRawBufferPointer(rebasing: bytes[from + columnBytes.lowerBound..<from + columnBytes.upperBound]),
            description.elementType,
            to: UnsafeMutableRawBufferPointer(rebasing: target[index * targetRowBytes..<(index + 1) * targetRowBytes]), elementType)
        }
      }
      row = end
    }
  }
}
