import Files
import Safetensors
import SystemPackage
import Tensors

/// What pruning does to one rank file, worked out from its header alone.
struct PrunePlan: Sendable {
  let source: SafetensorsFile
  /// Tensors that lose their values, in the order of the data.
  let emptied: [SafetensorsHeader.Entry]
  /// nil: the file is copied as it is.
  var header: SafetensorsHeader?
  var notes: SkeletonNotes?
  /// Whether the source records what was taken out of it before.
  let wasSkeleton: Bool
  /// Ranges of the source's data that are kept, in order, neighbours joined. They follow each other in the new file.
  let kept: [Range<Int>]

  var name: String { source.path.lastComponent?.string ?? "" }
  var keptByteCount: Int { header == nil ? source.file.byteCount : kept.reduce(0) { $0 + $1.count } }
  var byteCountAfter: Int { header.map { $0.dataStart + $0.dataByteCount } ?? source.file.byteCount }

  /// - Parameters:
  ///   - recordsShapes: Make a skeleton.
  ///   - isPruned: The configuration says that values have been taken out already.
  init(
    _ source: SafetensorsFile, selection: PruneSelection, recordsShapes: Bool, isPruned: Bool
  ) throws(CheckpointError) {
    self.source = source
    let old = try SkeletonNotes(source)
    wasSkeleton = old != nil
    emptied = source.header.entries.filter { selection.selects($0.name) && $0.description.shape != [0] }
    let gone = Set(emptied.map(\.name))
    kept = source.header.entries.filter { !gone.contains($0.name) }.reduce(into: []) { runs, entry in
      if entry.range.isEmpty { return }
      if let last = runs.last, last.upperBound == entry.range.lowerBound {
        runs[runs.count - 1] = last.lowerBound..<entry.range.upperBound
      } else {
        runs.append(entry.range)
      }
    }
    if recordsShapes || old != nil {
      // Values that went without a record cannot come back.
      let lost = old == nil && isPruned ? source.header.entries.filter { $0.description.shape == [0] }.map(\.name) : []
      guard lost.isEmpty else {
        throw CheckpointError(
          source.path,
          .refused(reason: "pruned before without --skeleton, so the shape of '\(lost[0])' is not known. Make the skeleton from the full checkpoint."))
      }
      var notes = old ?? SkeletonNotes()
      for entry in emptied { notes.shapes[entry.name] = entry.description.shape }
      self.notes = notes
    }
    guard !emptied.isEmpty || (recordsShapes && old == nil) else { return }
    header = try self.makeHeader()
    if old == nil { try recordHeaderIfNeeded() }
  }

  /// The new header. Names keep their order; so does the data.
  private func makeHeader() throws(CheckpointError) -> SafetensorsHeader {
    let gone = Set(emptied.map(\.name))
    let old = source.header
    let tensors = old.entries.map { entry in
      (entry.name, gone.contains(entry.name) ? TensorDescription(shape: [0], elementType: entry.description.elementType) : entry.description)
    }
    // Where the largest kept range is worth it, it keeps its place within a block, so that a file system which can
    // share blocks does. The data starts elsewhere by as much as was taken out before that range.
    var phase: Int?
    if let largest = kept.max(by: { $0.count < $1.count }), largest.count >= 1 << 20 {
      let before = kept.prefix { $0.lowerBound < largest.lowerBound }.reduce(0) { $0 + $1.count }
      let wanted = (old.dataStart + largest.lowerBound - before) % 4096
      phase = ((wanted + 4096) % 4096) % 8 == 0 ? (wanted + 4096) % 4096 : nil
    }
    do throws(SafetensorsError) {
      return try SafetensorsHeader(
        describing: tensors, headerOrder: old.headerOrder,
        metadata: notes.map { $0.metadata(after: old.optionalMetadata) } ?? old.optionalMetadata,
        dataAlignment: 8, dataPhase: phase, path: source.path)
    } catch { throw CheckpointError(source.path, .safetensors(error)) }
  }

  /// Notes the original header where ``SkeletonNotes/originalHeader(of:)`` would not find it again.
  private mutating func recordHeaderIfNeeded() throws(CheckpointError) {
    guard let notes, let header else { return }
    let original: [UInt8]
    do throws(SafetensorsError) { original = try source.headerBytes() } catch {
      throw CheckpointError(source.path, .safetensors(error))
    }
    let derived = try? SafetensorsHeader(
      describing: notes.originalTensors(of: header), headerOrder: header.headerOrder,
      metadata: SkeletonNotes.withoutNotes(header.optionalMetadata), dataAlignment: 8, dataPhase: nil, path: source.path)
    if let derived, Array(derived.serialized().dropFirst(8)) == original { return }
    self.notes?.header = String(decoding: original, as: UTF8.self)  // valid: it has been parsed
    self.header = try makeHeader()
  }

  /// Whether every value that the notes are about is still there to be looked at.
  var notesCover: Bool {
    notes.map { notes in notes.shapes.keys.allSatisfy { source.header[$0]?.description.shape != [0] } } ?? true
  }

  /// Adds digests to the notes.
  mutating func record(digests: [String: String]) throws(CheckpointError) {
    guard var notes else { return }
    notes.digests = [:]
    for entry in source.header.entries { notes.digests?[entry.name] = digests[entry.name] }
    notes.root = notes.rootDigest(of: source.header)
    self.notes = notes
    header = try makeHeader()
  }
}
