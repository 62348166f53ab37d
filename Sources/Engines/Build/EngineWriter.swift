import Digests
import Files
import Networks
public import OrderedCollections
import Safetensors
import SystemPackage
import Threads
import WeightSources

/// What becomes of one weight in a file that is being written.
enum Disposition: Sendable, Equatable {
  /// Its recipe runs on the source.
  case make
  /// The bytes of the engine that is refitted.
  case keep
  /// The file lacks it.
  case absent
}

/// SHA-256 digests of what was written to one rank file.
public struct RankDigest: Sendable, Equatable {
  /// Name of the rank file, such as `rank0.engine`.
  public var file: String
  /// Over the plan and the digests of all weights, see `EngineWriter/rootDigest(planText:weights:)`.
  public var root: String
  /// By engine name, in plan order: see ``DigestKind``.
  public var weights: OrderedDictionary<String, String>
}

/// Writes rank files: one code path for building, refitting and stripping.
struct EngineWriter {
  struct Rank: Sendable {
    var plan: Plan
    var planText: String
    var dispositions: OrderedDictionary<String, Disposition>
    /// The engine that kept weights come from.
    var previous: EngineFile?
    var source: any WeightSource
    /// Digests that the previous engine's lineage gives.
    var known: OrderedDictionary<String, String> = [:]
    /// Of the plan, where there is no engine before.
    var artifacts: [TargetArtifact] = []
  }

  var workers: Int
  var progress: ProgressCounter?
  /// Compute how far weights move.
  var measures = false
  /// Gets what became of each weight.
  var written = WrittenWeights()

  /// Creates all rank files in `output` and fills them, every weight read once and written once.
  func write(_ ranks: [Rank], to output: OutputDirectory) async throws -> [RankDigest] {
    struct Job: Sendable {
      let rank: Int
      let name: String
      let weight: PlannedWeight
      let disposition: Disposition
    }
    var writers: [SafetensorsWriter] = []
    var shares: [Bool] = []
    var jobs: [(cost: Int, job: Job)] = []
    for (index, rank) in ranks.enumerated() {
      let tensors = EngineFile.layout(plan: rank.plan) { rank.dispositions[$0] != .absent }
      let file = try output.createFile(EngineDirectory.fileName(rank: rank.plan.rank))
      shares.append(rank.previous.map { file.sharesBlocks(with: $0.tensors.file) } ?? false)
      writers.append(
        try SafetensorsWriter(
          file: file, metadata: EngineFile.metadata(planText: rank.planText), tensors: tensors,
          dataAlignment: EngineFile.dataAlignment))
      try rank.writeArtifacts(to: writers[index])
      for (name, weight) in rank.plan.weights {
        guard let disposition = rank.dispositions[name], disposition != .absent else { continue }
        jobs.append((weight.stored.byteCount, Job(rank: index, name: name, weight: weight, disposition: disposition)))
      }
    }
    let digests = DigestTable(rankCount: ranks.count)
    let (allRanks, allWriters, allShares, progress, measures, written) = (ranks, writers, shares, progress, measures, written)
    try await Jobs.runDigested(jobs, workers: workers) { maker, job in
      let rank = allRanks[job.rank]
      let writer = allWriters[job.rank]
      let name = job.name
      let done: (String, WrittenWeight) -> Void = { digest, weight in
        digests.set(rank: job.rank, name: name, digest)
        written.add(weight)
      }
      switch job.disposition {
      case .make:
        guard let program = RecipeProgram(job.weight) else { preconditionFailure("\(name): the plan was checked") }
        return WeightWriting(
          maker, name, program, from: rank.source, rank: rank.plan.rank, previous: rank.previous, to: writer,
          sharesBlocks: allShares[job.rank], measures: measures, progress: progress, done: done)
      case .keep:
        guard let previous = rank.previous, let entry = previous.tensors.header[name] else {
          preconditionFailure("\(name): nothing to keep it from")
        }
        try writer.clone(name, rows: entry.description.rowCount, from: previous)
        let kept = WrittenWeight(rank: rank.plan.rank, name: name, fate: .kept, byteCount: entry.range.count)
        // The digest by the engine's own lineage: taking that over, rather than hashing whatever the file holds now, keeps
        // a damaged file's damage visible to every later check.
        if let known = rank.known[name] {
          progress?.add(entry.range.count)
          done(known, kept)
          return nil
        }
        return WeightReading(maker, name, entry.description, of: previous, progress: progress) { done($0, kept) }
      case .absent: return nil
      }
    }
    return ranks.indices.map { index in
      let weights = digests.ordered(rank: index, ranks[index].plan.weights.keys)
      return RankDigest(
        file: EngineDirectory.fileName(rank: ranks[index].plan.rank),
        root: Self.rootDigest(planText: ranks[index].planText, weights: weights), weights: weights)
    }
  }

  /// SHA-256 of the lines `plan <digest of the plan's text>`, then `<weight> <digest>` in plan order.
  static func rootDigest(planText: String, weights: OrderedDictionary<String, String>) -> String {
    var hash = SHA256()
    hash.update(Array("plan \(SHA256.hash(Array(planText.utf8)).hexadecimal)\n".utf8))
    for (name, digest) in weights { hash.update(Array("\(name) \(digest)\n".utf8)) }
    return hash.finalize().hexadecimal
  }
}
