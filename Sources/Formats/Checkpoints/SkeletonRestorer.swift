import Files
import Safetensors
public import SystemPackage
import Threads

/// Rebuilds the checkpoint that a skeleton was made from, its rank files byte for byte, taking the values that are
/// gone from a full checkpoint.
public struct SkeletonRestorer: Sendable {
  /// What is rebuilt, and where values that were kept come from.
  public let skeleton: Skeleton
  /// Where values that are gone come from.
  public let full: CheckpointDirectory
  /// Threads that copy and hash.
  public var workers = Parallel.defaultWorkers

  /// - Throws: ``CheckpointError`` where the full checkpoint cannot be the original, naming each difference.
  public init(_ skeleton: Skeleton, from full: CheckpointDirectory) throws(CheckpointError) {
    self.skeleton = skeleton
    self.full = full
    // The configuration is rebuilt from the skeleton; only tensors have to be there.
    let differences = skeleton.structuralDifferences(from: full).filter { $0.file != "config.json" || $0.name == "mapping" }
    guard differences.isEmpty else { throw Self.refusal(full, differences) }
  }

  private static func refusal(_ full: CheckpointDirectory, _ differences: [Skeleton.Difference]) -> CheckpointError {
    let list = differences.map { "\n  \($0)" }.joined()
    return CheckpointError(
      full.path, .refused(reason: "not the checkpoint that the skeleton was made from:\(list)\nName that checkpoint."))
  }

  /// Bytes that ``run(to:progress:)`` will report.
  public var workByteCount: Int {
    full.ranks.reduce(0) { $0 + $1.header.dataByteCount } * (skeleton.hasDigests ? 2 : 1)
  }

  /// Writes the original; it appears under its name complete or not at all.
  ///
  /// With digests recorded, every tensor is checked as written, and a wrong one ends the run with nothing replaced.
  public func run(to target: FilePath, progress: @escaping @Sendable (Int) -> Void = { _ in }) throws {
    let output = try OutputDirectory.begin(target, as: .wholeCheckpoint, notOverlapping: [skeleton.checkpoint.path, full.path])
    defer { output.abandon() }
    var pieces: [CopyPiece] = []
    var files: [WritableFile] = []
    var headers: [SafetensorsHeader] = []
    for (index, rank) in skeleton.checkpoint.ranks.enumerated() {
      let (header, bytes) = try skeleton.notes[index].originalHeader(of: rank)
      let file = try output.createFile(CheckpointDirectory.rankName(index))
      try file.write(at: 0, bytes)
      try file.setSize(header.dataStart + header.dataByteCount)
      for entry in header.entries {
        let source = skeleton.notes[index].shapes[entry.name] == nil ? rank : full.ranks[index]
        let range = try source.entry(entry.name).range
        pieces += CopyPiece.split(
          source.file, source.header.dataStart + range.lowerBound..<source.header.dataStart + range.upperBound,
          to: file, at: header.dataStart + entry.range.lowerBound)
      }
      files.append(file)
      headers.append(header)
    }
    try CopyPiece.copy(pieces, workers: workers, progress)
    let written = files
    try Parallel.forEach(written.count, workers: workers) { try written[$0].close() }
    try proveDigests(in: output.path, progress)
    try output.write("config.json", bytes: try originalConfig())
    for name in skeleton.checkpoint.auxiliaryFiles {
      try output.copyFile(from: skeleton.checkpoint.path.appending(name), name: name)
    }
    try output.commit()
  }

  private func proveDigests(in directory: FilePath, _ progress: @escaping @Sendable (Int) -> Void) throws {
    let wanted = skeleton.notes.indices.filter { skeleton.notes[$0].digests != nil }
    let files = try wanted.map { try SafetensorsFile(directory.appending(CheckpointDirectory.rankName($0))) }
    let digests = try DigestTable.digests(of: files, workers: workers, progress: progress)
    var differences: [Skeleton.Difference] = []
    for (place, index) in wanted.enumerated() {
      for name in files[place].names where skeleton.notes[index].digests?[name] != digests[place][name] {
        differences.append(.init(file: CheckpointDirectory.rankName(index), name: name, reason: "other values"))
      }
    }
    guard differences.isEmpty else { throw Self.refusal(full, differences) }
  }

  /// The full checkpoint's own text where it says the same, for its spelling; else the skeleton's without the mark.
  private func originalConfig() throws -> [UInt8] {
    Skeleton.withoutMark(full.json) == Skeleton.withoutMark(skeleton.checkpoint.json)
      ? full.configText : try ConfigText.unmarked(skeleton.checkpoint.configText)
  }
}
