import Networks
import Safetensors
import Tensors
import WeightSources

/// Runs recipes tile by tile: reads rows from a source, converts, packs.
///
/// Holds the scratch memory of one worker; its size is a constant, or one panel of 16 rows where that is more.
@safe final class WeightMaker {
  /// Aim for the bytes of a tile: small enough for a core's second-level cache.
  static let tileByteCount = 512 << 10

  private var staging = Scratch()
  private var raw = Scratch()
  private var wide = Scratch()
  private var packed = Scratch()
  /// What the engine held, next to what it will.
  var held = Scratch(), oldWide = Scratch(), newWide = Scratch()

  /// Makes all of a weight, lending its bytes in the order of the file.
  ///
  /// - Parameter body: Gets rows of the stored tensor (panels, or rows of dimension 0) and their bytes.
  func make(
    _ program: RecipeProgram, from source: any WeightSource, rank: Int,
    _ body: (_ storedRows: Range<Int>, _ bytes: UnsafeRawBufferPointer) throws -> Void
  ) throws {
    var row = 0
    while let tile = unsafe try next(program, from: source, rank: rank, row: &row) { unsafe try body(tile.storedRows, tile.bytes) }
  }

  /// Makes the next tile of a weight; the bytes are valid until this worker makes another.
  ///
  /// - Parameter row: The first row of the weight that is not made yet; 0 at the start.
  /// - Returns: nil after the last.
  func next(
    _ program: RecipeProgram, from source: any WeightSource, rank: Int, row: inout Int
  ) throws -> (storedRows: Range<Int>, bytes: UnsafeRawBufferPointer)? {
    guard row < program.rowCount else { return nil }
    let type = program.elementType
    let rowBytes = program.columns * type.bitWidth / 8
    let isPacked = program.layout != .rows
    let unit = isPacked ? WeightLayout.panelRows : 1
    let tileRows = max(1, Self.tileByteCount / max(1, rowBytes * unit)) * unit
    let rows = row..<min(row + tileRows, program.rowCount)
    let plain = unsafe try tile(program, from: source, rank: rank, rows: rows)
    row = rows.upperBound
    guard isPacked else { return unsafe (rows, plain) }
    let panels = rows.lowerBound / unit..<(rows.upperBound + unit - 1) / unit
    let bytes = unsafe packed.bytes(PanelPacking.byteCount(panels: panels.count, columns: program.columns, type))
    unsafe PanelPacking.pack(plain, rows: rows.count, columns: program.columns, type, into: bytes)
    return (panels, UnsafeRawBufferPointer(bytes))
  }

  /// Row-major rows of the result in the engine's element type, before packing.
  private func tile(
    _ program: RecipeProgram, from source: any WeightSource, rank: Int, rows: Range<Int>
  ) throws -> UnsafeRawBufferPointer {
    let rowBytes = program.columns * program.elementType.bitWidth / 8
    let result = unsafe staging.bytes(rows.count * rowBytes)
    for part in program.parts {
      let wanted = rows.clamped(to: part.rows)
      guard !wanted.isEmpty else { continue }
      let partRows = wanted.lowerBound - part.rows.lowerBound..<wanted.upperBound - part.rows.lowerBound
      let first = (wanted.lowerBound - rows.lowerBound) * rowBytes
      let destination = unsafe UnsafeMutableRawBufferPointer(rebasing: result[first..<first + wanted.count * rowBytes])
      guard let description = source.description(of: part.name, rank: rank) else {
        preconditionFailure("\(part.name): checked to be there before anything is made")
      }
      let type = description.elementType
      if type == program.elementType && program.constant == 0 {
        unsafe try source.read(part.name, rank: rank, rows: partRows, into: destination)
        continue
      }
      let count = wanted.count * program.columns
      let input = unsafe raw.bytes(count * type.bitWidth / 8)
      unsafe try source.read(part.name, rank: rank, rows: partRows, into: input)
      if program.constant == 0 {
        unsafe NumberFormat.convert(from: UnsafeRawBufferPointer(input), type, to: destination, program.elementType)
      } else {
        let floats = unsafe wide.bytes(count * 4)
        unsafe NumberFormat.convert(from: UnsafeRawBufferPointer(input), type, to: floats, .float32)
        let values = unsafe floats.bindMemory(to: Float.self)
        for index in values.indices { unsafe values[index] += program.constant }
        unsafe NumberFormat.convert(from: UnsafeRawBufferPointer(floats), .float32, to: destination, program.elementType)
      }
    }
    return UnsafeRawBufferPointer(result)
  }
}

/// A buffer that grows to what was asked and is reused; aligned for vector loads.
@safe struct Scratch: ~Copyable {
  private var buffer = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)

  /// At least `count` bytes, valid until the next call. Their content is whatever it was.
  mutating func bytes(_ count: Int) -> UnsafeMutableRawBufferPointer {
    if unsafe buffer.count < count {
      unsafe buffer.deallocate()
      unsafe buffer = .allocate(byteCount: count, alignment: 64)
    }
    return unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count])
  }
  deinit { unsafe buffer.deallocate() }
}

extension WeightMaker {
  /// Lends a stored weight's bytes in order, a tile at a time.
  func read(
    _ description: TensorDescription, _ name: String, from engine: EngineFile,
    _ body: (_ bytes: UnsafeRawBufferPointer) -> Void
  ) throws {
    var row = 0
    while let bytes = unsafe try next(of: description, name, from: engine, row: &row) { unsafe body(bytes) }
  }

  /// Reads the next tile of a stored weight; the bytes are valid until this worker makes or reads another.
  func next(
    of description: TensorDescription, _ name: String, from engine: EngineFile, row: inout Int
  ) throws -> UnsafeRawBufferPointer? {
    guard row < description.rowCount else { return nil }
    let rowBytes = description.rowByteCount
    let rows = row..<min(row + max(1, Self.tileByteCount / max(1, rowBytes)), description.rowCount)
    let buffer = unsafe raw.bytes(rows.count * rowBytes)
    unsafe try engine.tensors.read(name, rows: rows, into: buffer)
    row = rows.upperBound
    return UnsafeRawBufferPointer(buffer)
  }
}
