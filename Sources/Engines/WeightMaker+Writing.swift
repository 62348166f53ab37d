import Crypto
import Safetensors
import Tensors
import WeightSources

extension WeightMaker {
  /// Makes a weight and writes it, but only from the first tile on that differs from the engine's; what comes before
  /// is cloned. So a weight that is right already is read and compared and never written, and one that is not costs
  /// one tile more than it must.
  ///
  /// - Parameter measures: Whether to compute how far it moved, for which all old bytes are read.
  func write(
    _ name: String, _ program: RecipeProgram, from source: any WeightSource, rank: Int, previous: EngineFile?,
    to writer: SafetensorsWriter, measures: Bool, progress: ProgressCounter?
  ) throws -> (digest: String, written: WrittenWeight) {
    let previous = previous.flatMap { $0.contains(name) ? $0 : nil }
    var digest = SHA256()
    var result = WrittenWeight(rank: rank, name: name, fate: previous == nil ? .filled : .refitted, byteCount: 0)
    var movement = WeightMovement()
    var matches = previous != nil
    var matched = 0
    unsafe try make(program, from: source, rank: rank) { rows, bytes in
      try Task.checkCancellation()
      unsafe digest.update(bufferPointer: bytes)
      unsafe result.nonFiniteCount += NonFinite.count(bytes, program.elementType)
      result.byteCount += bytes.count
      progress?.add(bytes.count)
      if let previous, matches || measures {
        let old = unsafe held.bytes(bytes.count)
        unsafe try previous.tensors.read(name, rows: rows, into: old)
        if measures { unsafe measure(&movement, UnsafeRawBufferPointer(old), bytes, program.elementType) }
        if matches {
          if unsafe sameBytes(bytes, UnsafeRawBufferPointer(old)) {
            matched = rows.upperBound
            return
          }
          matches = false
          try clone(name, rows: matched, from: previous, to: writer)
        }
      }
      unsafe try writer.write(name, rows: rows, bytes)
    }
    if let previous, matches {
      try clone(name, rows: matched, from: previous, to: writer)
      result.fate = .unchanged
    }
    if measures, previous != nil { result.movement = movement }
    return (digest.finalize().hexadecimal, result)
  }

  private func measure(
    _ movement: inout WeightMovement, _ old: UnsafeRawBufferPointer, _ new: UnsafeRawBufferPointer, _ type: ElementType
  ) {
    let count = old.count * 8 / type.bitWidth
    let (before, after) = unsafe (oldWide.bytes(count * 4), newWide.bytes(count * 4))
    unsafe NumberFormat.convert(from: old, type, to: before, .float32)
    unsafe NumberFormat.convert(from: new, type, to: after, .float32)
    unsafe movement.add(old: UnsafeRawBufferPointer(before), new: UnsafeRawBufferPointer(after))
  }

  /// Takes the first stored rows of a weight from an engine as they are, sharing blocks where the file system can.
  func clone(_ name: String, rows: Int, from engine: EngineFile, to writer: SafetensorsWriter) throws {
    guard rows > 0, let from = engine.tensors.header[name], let to = writer.header[name] else { return }
    let count = rows == from.description.rowCount ? from.range.count : rows * from.description.rowByteCount
    let (start, target) = (engine.tensors.header.dataStart + from.range.lowerBound, writer.header.dataStart + to.range.lowerBound)
    // Whole blocks can be shared only between places that lie alike; a short copy leads up to the first of them.
    let block = 4096
    let head = start % block == target % block ? min(count, (block - start % block) % block) : 0
    if head > 0 { try writer.file.copyRange(from: engine.tensors.file, at: start, to: target, count: head) }
    if count > head {
      try writer.file.copyRange(from: engine.tensors.file, at: start + head, to: target + head, count: count - head)
    }
  }

  /// Takes a whole weight as it is.
  ///
  /// - Parameter known: Its digest by the engine's own lineage. Taking that over, rather than hashing whatever the
  ///   file holds now, keeps a damaged file's damage visible to every later check.
  func keep(
    _ name: String, from engine: EngineFile, known: String?, to writer: SafetensorsWriter, progress: ProgressCounter?
  ) throws -> (digest: String, written: WrittenWeight) {
    guard let entry = engine.tensors.header[name] else { preconditionFailure("\(name): checked to be in \(engine.path)") }
    try Task.checkCancellation()
    try clone(name, rows: entry.description.rowCount, from: engine, to: writer)
    var digest = SHA256()
    if known == nil { unsafe try read(entry.description, name, from: engine) { unsafe digest.update(bufferPointer: $0) } }
    progress?.add(entry.range.count)
    return (
      known ?? digest.finalize().hexadecimal,
      WrittenWeight(rank: engine.plan.rank, name: name, fate: .kept, byteCount: entry.range.count)
    )
  }
}
