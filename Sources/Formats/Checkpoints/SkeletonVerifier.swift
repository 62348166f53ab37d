import Files
import Safetensors
import Synchronization
import SystemPackage
import Threads

/// Says whether a checkpoint is the one that a skeleton was made from.
public struct SkeletonVerifier: Sendable {
  /// What says how the original was.
  public let skeleton: Skeleton
  /// What may be the original.
  public let full: CheckpointDirectory
  /// Threads that read and hash.
  public var workers = Parallel.defaultWorkers

  /// Reads nothing; that is ``run(progress:)``'s.
  public init(_ skeleton: Skeleton, against full: CheckpointDirectory) {
    self.skeleton = skeleton
    self.full = full
  }

  /// What was found; no differences mean that all that could be compared is equal.
  public struct Outcome: Sendable {
    /// Of structure first, then of values, in the order of files and data.
    public let differences: [Skeleton.Difference]
    /// Tensors whose values were compared, by digest or byte by byte.
    public let comparedCount: Int
    /// Tensors of which only type and shape could be compared, because the skeleton has neither value nor digest.
    public let unprovedCount: Int
  }

  /// Bytes that ``run(progress:)`` will report.
  public var workByteCount: Int {
    zip(skeleton.notes, full.ranks).reduce(0) { sum, pair in
      sum
        + (pair.0.digests != nil
          ? pair.1.header.dataByteCount
          : pair.1.header.entries.filter { pair.0.shapes[$0.name] == nil }.reduce(0) { $0 + $1.range.count })
    }
  }

  /// Compares all there is to compare; a tensor that cannot match by shape is not read.
  public func run(progress: @escaping @Sendable (Int) -> Void = { _ in }) throws -> Outcome {
    let structural = skeleton.structuralDifferences(from: full)
    guard full.ranks.count == skeleton.checkpoint.ranks.count else {
      return Outcome(differences: structural, comparedCount: 0, unprovedCount: 0)
    }
    let known = Set(structural.map { "\($0.file)/\($0.name ?? "")" })
    var tensors: [(rank: Int, entry: SafetensorsHeader.Entry)] = []
    var unproved = 0
    for (rank, file) in full.ranks.enumerated() {
      for entry in file.header.entries where !known.contains("\(CheckpointDirectory.rankName(rank))/\(entry.name)") {
        if skeleton.notes[rank].digests == nil, skeleton.notes[rank].shapes[entry.name] != nil {
          unproved += 1
        } else {
          tensors.append((rank, entry))
        }
      }
    }
    let found = Mutex<[(Int, Skeleton.Difference)]>([])
    let work = tensors
    try Parallel.forEach(work.count, workers: workers) { index in
      let (rank, entry) = work[index]
      let file = full.ranks[rank]
      let offset = file.header.dataStart + entry.range.lowerBound
      let same: Bool
      if let digest = skeleton.notes[rank].digests?[entry.name] {
        same = try TensorDigest.sha256(of: file.file, at: offset, count: entry.range.count, progress: progress) == digest
      } else {
        let own = skeleton.checkpoint.ranks[rank]
        let kept = try own.entry(entry.name)
        same = try file.file.hasSameBytes(
          at: offset, as: own.file, at: own.header.dataStart + kept.range.lowerBound, count: entry.range.count, progress)
      }
      guard !same else { return }
      let difference = Skeleton.Difference(
        file: CheckpointDirectory.rankName(rank), name: entry.name, reason: "other values")
      found.withLock { $0.append((index, difference)) }
    }
    let values = found.withLock { $0 }.sorted { $0.0 < $1.0 }.map(\.1)
    return Outcome(differences: structural + values, comparedCount: work.count, unprovedCount: unproved)
  }
}
