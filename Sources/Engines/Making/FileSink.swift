import Files
import Safetensors
import Schemes
import Tensors
import Threads
import WeightSources

/// Rank files that are being written.
struct FileSink: WeightSink {
  /// One of them.
  struct File: Sendable {
    let writer: SafetensorsWriter
    /// The engine that is refitted.
    let previous: EngineFile?
    /// Whether the new file can share blocks with it.
    let sharesBlocks: Bool
  }
  /// By ``WeightJob/place``.
  let files: [File]
  /// Whether to compute how far weights move, for which all old bytes are read.
  let measures: Bool

  func begin(_ job: WeightJob, _ maker: WeightMaker) throws -> any OpenWeight {
    switch job.origin {
    case .file(let engine, _):
      try files[job.place].writer.clone(job.name, rows: job.stored.rowCount, from: engine)
      return KeptWeight()
    case .recipe(let program, _): return FileWeight(job.name, program, files[job.place], maker, measures: measures)
    }
  }
}

/// A weight that its recipe makes, on its way into a rank file, compared with the engine's up to the first tile that
/// differs. Where files can share blocks, what comes before that tile is cloned, so a weight that is right already is
/// never written; elsewhere writing the bytes at hand costs less than copying the engine's.
private struct FileWeight: OpenWeight {
  private let name: String
  private let program: RecipeProgram
  private let writer: SafetensorsWriter
  /// The engine, where it has the weight.
  private let previous: EngineFile?
  private let sharesBlocks: Bool
  private let measures: Bool
  /// For its scratch memory.
  private let maker: WeightMaker

  private var movement = WeightMovement()
  /// Whether all stored rows so far are the engine's, and how many they are.
  private var matches: Bool
  private var matched = 0

  init(_ name: String, _ program: RecipeProgram, _ file: FileSink.File, _ maker: WeightMaker, measures: Bool) {
    (self.name, self.program, self.maker, self.measures) = (name, program, maker, measures)
    (writer, sharesBlocks) = (file.writer, file.sharesBlocks)
    previous = file.previous.flatMap { $0.contains(name) ? $0 : nil }
    matches = previous != nil
  }

  mutating func write(_ rows: Range<Int>, _ bytes: UnsafeRawBufferPointer) throws {
    if let previous, matches || measures {
      let old = unsafe maker.held.bytes(bytes.count)
      unsafe try previous.tensors.read(name, rows: rows, into: old)
      if measures { unsafe maker.measure(&movement, UnsafeRawBufferPointer(old), bytes, program) }
      if matches {
        if unsafe sameBytes(bytes, UnsafeRawBufferPointer(old)) {
          matched = rows.upperBound
          if sharesBlocks { return }
        } else {
          matches = false
          if sharesBlocks { try writer.clone(name, rows: matched, from: previous) }
        }
      }
    }
    unsafe try writer.write(name, rows: rows, bytes)
  }

  func seal(digest: String) throws -> SealedWeight {
    guard let previous else { return SealedWeight(fate: .filled) }
    if matches, sharesBlocks { try writer.clone(name, rows: matched, from: previous) }
    return SealedWeight(fate: matches ? .unchanged : .refitted, movement: measures ? movement : nil)
  }
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
