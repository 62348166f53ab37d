import Files
import OrderedCollections
import Safetensors
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

  /// What was written.
  struct Written: Sendable {
    var digests: [RankDigest]
    /// By rank, in plan order.
    var weights: [WrittenWeight]
  }

  /// Creates all rank files in `output` and fills them, every weight read once and written once.
  func write(_ ranks: [Rank], to output: OutputDirectory) async throws -> Written {
    var jobs: [WeightJob] = []
    var files: [FileSink.File] = []
    for (place, rank) in ranks.enumerated() {
      files.append(try create(rank, in: output))
      for name in rank.plan.weights.keys {
        switch rank.dispositions[name] {
        case .make: jobs.append(.make(name, of: rank.plan, place: place, from: rank.source))
        case .keep:
          guard let previous = rank.previous, let stored = previous.tensors.header[name]?.description else {
            preconditionFailure("\(name): nothing to keep it from")
          }
          jobs.append(
            WeightJob(place: place, rank: rank.plan.rank, name: name, stored: stored, origin: .file(previous, knownDigest: rank.known[name])))
        case .absent, nil: break
        }
      }
    }
    let made = try await WeightPipeline(workers: workers, progress: progress).run(jobs, to: FileSink(files: files, measures: measures))
    return Written(digests: RankDigest.list(ranks.map { ($0.plan, $0.planText) }, of: zip(jobs, made)), weights: made.map(\.written))
  }

  private func create(_ rank: Rank, in output: OutputDirectory) throws -> FileSink.File {
    let tensors = EngineFile.layout(plan: rank.plan) { rank.dispositions[$0] != .absent }
    let file = try output.createFile(EngineDirectory.fileName(rank: rank.plan.rank))
    let sharesBlocks = rank.previous.map { file.sharesBlocks(with: $0.tensors.file) } ?? false
    let writer = try SafetensorsWriter(
      file: file, metadata: EngineFile.metadata(planText: rank.planText), tensors: tensors, dataAlignment: EngineFile.dataAlignment)
    try rank.writeArtifacts(to: writer)
    return FileSink.File(writer: writer, previous: rank.previous, sharesBlocks: sharesBlocks)
  }
}
