import Networks
import Safetensors
import Schemes
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
  /// Parts of encoded rows.
  var coded = Scratch()
  /// What the engine held, next to what it will.
  var held = Scratch(), oldWide = Scratch(), newWide = Scratch()

  /// Makes the next tile of a weight; the bytes are valid until this worker makes another.
  ///
  /// - Parameter row: The first row of the weight that is not made yet; 0 at the start.
  /// - Returns: nil after the last.
  func next(
    _ program: RecipeProgram, from source: any WeightSource, rank: Int, row: inout Int
  ) throws -> (storedRows: Range<Int>, bytes: UnsafeRawBufferPointer)? {
    guard row < program.rowCount else { return nil }
    let isPacked = program.layout != .rows
    let unit = isPacked ? WeightLayout.panelRows : 1
    // Of encoded weights the floats on the way are what takes room.
    let rowBytes = program.columns * (program.scheme.elementType ?? .float32).bitWidth / 8
    let tileRows = max(1, Self.tileByteCount / max(1, rowBytes * unit)) * unit
    let rows = row..<min(row + tileRows, program.rowCount)
    row = rows.upperBound
    let panels = rows.lowerBound / unit..<(rows.upperBound + unit - 1) / unit
    guard case .plain(let type) = program.scheme else { return unsafe (panels, try encoded(program, from: source, rank: rank, rows: rows)) }
    let plain = unsafe try tile(program, type, from: source, rank: rank, rows: rows)
    guard isPacked else { return unsafe (rows, plain) }
    let bytes = unsafe packed.bytes(PanelPacking.byteCount(panels: panels.count, columns: program.columns, type))
    unsafe PanelPacking.pack(plain, rows: rows.count, columns: program.columns, type, into: bytes)
    return (panels, UnsafeRawBufferPointer(bytes))
  }

  /// Panels of a weight in fewer bits. What the source holds in the same scheme is carried to the bit, all else encoded.
  private func encoded(
    _ program: RecipeProgram, from source: any WeightSource, rank: Int, rows: Range<Int>
  ) throws -> UnsafeRawBufferPointer {
    guard let coding = program.scheme.coding else { preconditionFailure("plain numbers are not encoded") }
    let (columns, sizes) = (program.columns, coding.rowByteCounts(columns: program.columns))
    let parts = unsafe coding.split(coded.bytes(coding.byteCount(rows: rows.count, columns: columns)), rows: rows.count, columns: columns)
    for input in program.inputs(of: rows) {
      let places = unsafe zip(parts, sizes).map { part, size in unsafe part.rows(input.places, of: size) }
      if source.scheme(of: input.name, rank: rank) == program.scheme {
        for (index, part) in coding.parts.enumerated() {
          let place = unsafe places[index]
          unsafe try read(part.name(of: input.name), as: part.elementType, from: source, rank: rank, rows: input.rows, into: place)
        }
      } else {
        let count = input.rows.count * columns
        let floats = unsafe wide.bytes(count * 4)
        let rounded = unsafe program.encodedFrom == .float32 ? floats : staging.bytes(count * program.encodedFrom.bitWidth / 8)
        unsafe try read(input.name, as: program.encodedFrom, from: source, rank: rank, rows: input.rows, into: rounded)
        if program.encodedFrom != .float32 {
          unsafe NumberFormat.convert(from: UnsafeRawBufferPointer(rounded), program.encodedFrom, to: floats, .float32)
        }
        unsafe coding.encode(UnsafeRawBufferPointer(floats), rows: input.rows.count, columns: columns, into: places)
      }
    }
    let unit = WeightLayout.panelRows
    let bytes = unsafe packed.bytes((rows.count + unit - 1) / unit * coding.panelByteCount(columns: columns))
    unsafe coding.pack(parts, rows: rows.count, columns: columns, into: bytes)
    return UnsafeRawBufferPointer(bytes)
  }

  /// Rows of a tensor in another element type; `destination` holds just them.
  private func read(
    _ name: String, as type: ElementType, from source: any WeightSource, rank: Int, rows: Range<Int>,
    into destination: UnsafeMutableRawBufferPointer
  ) throws {
    guard let description = source.description(of: name, rank: rank) else {
      preconditionFailure("\(name): checked to be there before anything is made")
    }
    guard description.elementType != type else {
      return unsafe try source.read(name, rank: rank, rows: rows, into: destination)
    }
    let input = unsafe raw.bytes(rows.count * description.rowByteCount)
    unsafe try source.read(name, rank: rank, rows: rows, into: input)
    unsafe NumberFormat.convert(from: UnsafeRawBufferPointer(input), description.elementType, to: destination, type)
  }

  /// Row-major rows of the result in the engine's element type, before packing.
  private func tile(
    _ program: RecipeProgram, _ type: ElementType, from source: any WeightSource, rank: Int, rows: Range<Int>
  ) throws -> UnsafeRawBufferPointer {
    let rowBytes = program.columns * type.bitWidth / 8
    let result = unsafe staging.bytes(rows.count * rowBytes)
    for input in program.inputs(of: rows) {
      let destination = unsafe result.rows(input.places, of: rowBytes)
      if program.constant == 0 {
        unsafe try read(input.name, as: type, from: source, rank: rank, rows: input.rows, into: destination)
      } else {
        let floats = unsafe wide.bytes(input.rows.count * program.columns * 4)
        unsafe try read(input.name, as: .float32, from: source, rank: rank, rows: input.rows, into: floats)
        let values = unsafe floats.bindMemory(to: Float.self)
        for index in values.indices { unsafe values[index] += program.constant }
        unsafe NumberFormat.convert(from: UnsafeRawBufferPointer(floats), .float32, to: destination, type)
      }
    }
    return UnsafeRawBufferPointer(result)
  }
}

extension UnsafeMutableRawBufferPointer {
  /// Some of the rows that lie one after the other, of so many bytes each.
  fileprivate func rows(_ rows: Range<Int>, of byteCount: Int) -> UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(rebasing: self[rows.lowerBound * byteCount..<rows.upperBound * byteCount])
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
