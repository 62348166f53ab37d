import Files
import Safetensors
import Schemes
import Tensors
import Threads
import WeightSources

/// A weight that its recipe makes, on its way into a rank file, compared with the engine's up to the first tile that
/// differs. Where files can share blocks, what comes before that tile is cloned, so a weight that is right already is
/// never written; elsewhere writing the bytes at hand costs less than copying the engine's.
struct WeightWriting: DigestedJob {
  private let maker: WeightMaker
  private let name: String
  private let program: RecipeProgram
  private let source: any WeightSource
  private let rank: Int
  /// The engine, where it has the weight.
  private let previous: EngineFile?
  private let writer: SafetensorsWriter
  private let sharesBlocks: Bool
  private let measures: Bool
  private let progress: ProgressCounter?
  private let done: (_ digest: String, _ written: WrittenWeight) -> Void

  private var row = 0
  private var written: WrittenWeight
  private var movement = WeightMovement()
  /// Whether all stored rows so far are the engine's, and how many they are.
  private var matches: Bool
  private var matched = 0

  /// - Parameters:
  ///   - maker: Not used by anything else until the weight is written.
  ///   - sharesBlocks: Whether the new file can share blocks with the engine's.
  ///   - measures: Whether to compute how far it moved, for which all old bytes are read.
  init(
    _ maker: WeightMaker, _ name: String, _ program: RecipeProgram, from source: any WeightSource, rank: Int,
    previous: EngineFile?, to writer: SafetensorsWriter, sharesBlocks: Bool, measures: Bool, progress: ProgressCounter?,
    done: @escaping (_ digest: String, _ written: WrittenWeight) -> Void
  ) {
    self.maker = maker
    self.name = name
    self.program = program
    self.source = source
    self.rank = rank
    self.previous = previous.flatMap { $0.contains(name) ? $0 : nil }
    self.writer = writer
    self.sharesBlocks = sharesBlocks
    self.measures = measures
    self.progress = progress
    self.done = done
    matches = self.previous != nil
    written = WrittenWeight(rank: rank, name: name, fate: matches ? .refitted : .filled, byteCount: 0)
  }

  mutating func next() throws -> UnsafeRawBufferPointer? {
    try Task.checkCancellation()
    guard let (rows, bytes) = unsafe try maker.next(program, from: source, rank: rank, row: &row) else {
      if let previous, matches {
        if sharesBlocks { try writer.clone(name, rows: matched, from: previous) }
        written.fate = .unchanged
      }
      if measures, previous != nil { written.movement = movement }
      return nil
    }
    unsafe written.nonFiniteCount += NonFinite.count(bytes, program)
    written.byteCount += bytes.count
    progress?.add(bytes.count)
    if let previous, matches || measures {
      let old = unsafe maker.held.bytes(bytes.count)
      unsafe try previous.tensors.read(name, rows: rows, into: old)
      if measures { unsafe maker.measure(&movement, UnsafeRawBufferPointer(old), bytes, program) }
      if matches {
        if unsafe sameBytes(bytes, UnsafeRawBufferPointer(old)) {
          matched = rows.upperBound
          if sharesBlocks { return unsafe bytes }
        } else {
          matches = false
          if sharesBlocks { try writer.clone(name, rows: matched, from: previous) }
        }
      }
    }
    unsafe try writer.write(name, rows: rows, bytes)
    return unsafe bytes
  }

  func finish(digest: String) { done(digest, written) }
}

/// A stored weight that is only read.
struct WeightReading: DigestedJob {
  let maker: WeightMaker
  let name: String
  let description: TensorDescription
  let file: EngineFile
  var progress: ProgressCounter?
  let done: (_ digest: String) -> Void
  private var row = 0

  init(
    _ maker: WeightMaker, _ name: String, _ description: TensorDescription, of file: EngineFile, progress: ProgressCounter? = nil,
    done: @escaping (_ digest: String) -> Void
  ) {
    self.maker = maker
    self.name = name
    self.description = description
    self.file = file
    self.progress = progress
    self.done = done
  }

  mutating func next() throws -> UnsafeRawBufferPointer? {
    try Task.checkCancellation()
    guard let bytes = unsafe try maker.next(of: description, name, from: file, row: &row) else { return nil }
    progress?.add(bytes.count)
    return unsafe bytes
  }

  func finish(digest: String) { done(digest) }
}

extension WeightMaker {
  fileprivate func measure(
    _ movement: inout WeightMovement, _ old: UnsafeRawBufferPointer, _ new: UnsafeRawBufferPointer, _ program: RecipeProgram
  ) {
    let count = program.valueCount(old.count)
    let (before, after) = unsafe (oldWide.bytes(count * 4), newWide.bytes(count * 4))
    unsafe values(program, old, into: before)
    unsafe values(program, new, into: after)
    unsafe movement.add(old: UnsafeRawBufferPointer(before), new: UnsafeRawBufferPointer(after))
  }

  /// The values of a tile as it is stored, in float32 and in any order.
  private func values(_ program: RecipeProgram, _ stored: UnsafeRawBufferPointer, into floats: UnsafeMutableRawBufferPointer) {
    guard let coding = program.scheme.coding else {
      return unsafe NumberFormat.convert(from: stored, program.scheme.elementType ?? .float32, to: floats, .float32)
    }
    let columns = program.columns
    let rows = program.valueCount(stored.count) / columns
    let parts = unsafe coding.split(coded.bytes(coding.byteCount(rows: rows, columns: columns)), rows: rows, columns: columns)
    unsafe coding.unpack(stored, rows: rows, columns: columns, into: parts)
    unsafe coding.decode(parts, rows: rows, columns: columns, into: floats)
  }
}

extension RecipeProgram {
  /// Values in so many bytes of a tile as it is stored, those that fill up the last panel among them.
  fileprivate func valueCount(_ byteCount: Int) -> Int {
    guard let coding = scheme.coding else { return byteCount * 8 / (scheme.elementType ?? .float32).bitWidth }
    return byteCount / coding.panelByteCount(columns: columns) * WeightLayout.panelRows * columns
  }
}

extension SafetensorsWriter {
  /// Takes the first stored rows of a weight from an engine as they are, sharing blocks where the file system can.
  func clone(_ name: String, rows: Int, from engine: EngineFile) throws {
    guard rows > 0, let from = engine.tensors.header[name], let to = header[name] else { return }
    let count = rows == from.description.rowCount ? from.range.count : rows * from.description.rowByteCount
    let (start, target) = (engine.tensors.header.dataStart + from.range.lowerBound, header.dataStart + to.range.lowerBound)
    // Whole blocks can be shared only between places that lie alike; a short copy leads up to the first of them.
    let block = 4096
    let head = start % block == target % block ? min(count, (block - start % block) % block) : 0
    if head > 0 { try file.copyRange(from: engine.tensors.file, at: start, to: target, count: head) }
    if count > head {
      try file.copyRange(from: engine.tensors.file, at: start + head, to: target + head, count: count - head)
    }
  }
}
