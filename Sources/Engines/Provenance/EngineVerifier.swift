import Digests
import Files
import SystemPackage
public import Threads

/// Compares an engine with its own lineage: every weight's bytes, every plan, and what the target made by the plan's digests.
public struct EngineVerifier: Sendable {
  /// A way in which the files are not what was written.
  public enum Difference: Sendable, Equatable, CustomStringConvertible {
    /// The bytes of a weight are not those that were written.
    case weight(String, file: String)
    /// The lineage lists a weight that the file lacks.
    case missing(String, file: String)
    /// An artifact's bytes are not those of the plan.
    case artifact(String, file: String)
    /// The file holds a weight that the lineage does not know.
    case unknown(String, file: String)
    /// All weights are as written, but the plan is not, or the lineage itself was changed.
    case plan(file: String)
    /// The lineage has no entry for a rank file.
    case unlisted(file: String)

    public var description: String {
      switch self {
      case .weight(let name, let file), .artifact(let name, let file): "\(file): \(name) holds other bytes than were written"
      case .missing(let name, let file): "\(file): \(name) is missing"
      case .unknown(let name, let file): "\(file): \(name) was not there when the engine was written"
      case .plan(let file): "\(file): the plan, or lineage.json, is not what was written"
      case .unlisted(let file): "\(file): lineage.json does not list it"
      }
    }
  }
  /// What was compared, and what differs.
  public struct Result: Sendable, Equatable {
    /// Weights whose bytes were read.
    public var weightCount: Int
    /// Bytes of those.
    public var byteCount: Int
    /// Files and plans first, then weights by file and name; none: all is as it was written.
    public var differences: [Difference]
  }
  /// Threads that read and hash.
  public var workers: Int
  /// - Parameter workers: At least one is taken.
  public init(workers: Int = 1) { self.workers = workers }

  /// - Throws: ``EngineError`` where there is no engine, or none with a lineage.
  public func verify(_ engine: EngineDirectory, progress: ProgressCounter? = nil) async throws -> Result {
    guard let lineage = try Lineage(directory: engine.path) else {
      throw EngineError(
        engine.path, .source(reason: "there is no lineage.json, so nothing says what the engine should hold. Build or refit it again."))
    }
    return try await verify(engine.ranks, against: lineage.ranks, kind: lineage.digestKind, progress: progress)
  }

  func verify(
    _ files: [EngineFile], against digests: [RankDigest], kind: DigestKind = .tree, progress: ProgressCounter? = nil
  ) async throws -> Result {
    var jobs: [WeightJob] = []
    var wanted: [String] = []
    var result = Result(weightCount: 0, byteCount: 0, differences: [])
    for (place, file) in files.enumerated() {
      let name = file.path.lastComponent?.string ?? file.path.string
      guard let digest = digests.first(where: { $0.file == name }) else {
        result.differences.append(.unlisted(file: name))
        continue
      }
      for (weight, known) in digest.weights {
        guard let entry = file.tensors.header[weight] else { result.differences.append(.missing(weight, file: name)); continue }
        jobs.append(WeightJob(place: place, rank: file.plan.rank, name: weight, stored: entry.description, origin: .file(file)))
        wanted.append(known)
      }
      for weight in file.plan.weights.keys where file.contains(weight) && digest.weights[weight] == nil {
        result.differences.append(.unknown(weight, file: name))
      }
      if RankDigest.rootDigest(planText: file.planText, weights: digest.weights) != digest.root {
        result.differences.append(.plan(file: name))
      }
      for artifact in file.plan.artifacts {
        try Task.checkCancellation()
        guard try SHA256.hash(file.storedBytes(of: artifact)).hexadecimal != artifact.digest else { continue }
        result.differences.append(.artifact(artifact.name, file: name))
      }
    }
    result.weightCount = jobs.count
    result.byteCount = jobs.reduce(0) { $0 + $1.stored.byteCount }
    let read = try await WeightPipeline(workers: workers, progress: progress, digests: kind).run(jobs, to: NoSink())
    var found: [Difference] = []
    for (index, job) in jobs.enumerated() where read[index].digest != wanted[index] {
      found.append(.weight(job.name, file: files[job.place].path.lastComponent?.string ?? ""))
    }
    result.differences += found.sorted { $0.description < $1.description }
    return result
  }
}

/// A refitted engine that is not what it should be; it was not put in place.
public struct VerificationError: Error, Sendable, CustomStringConvertible {
  /// A line each; the message shows the first 20.
  public let differences: [String]
  public var description: String {
    "verification failed, and the new engine was not put in place:\n  " + differences.prefix(20).joined(separator: "\n  ")
      + (differences.count > 20 ? "\n  … and \(differences.count - 20) more" : "")
      + "\nWhat was written is not what the source gives: run again; if this repeats, check the memory and the disk, and the engine with --verify_engine."
  }
}
