import Files
import JSON
import SystemPackage
import Threads

/// One refit done by several processes, each writing some of the ranks.
///
/// Beside the target `NAME` stands `.NAME.drydock-ranks`. A finished rank is a complete directory in it, `rank{r}`, with
/// the rank file and `share.json`, which names the job and the digests; ``OutputDirectory`` makes it appear at once. The
/// process that finds shares of its own job for all ranks takes the lock on the target, looks again, joins the files
/// into the new engine and commits it like any other output; then the shares go. A process killed anywhere leaves the
/// target alone, and running its ranks again goes on from what is there.
struct RefitShares {
  let refitter: Refitter
  let target: FilePath
  let inputs: [FilePath]
  /// Without digests; its job is set.
  let lineage: Lineage
  let companions: EngineCompanions

  private static let shareName = "share.json"
  private var job: String { lineage.job ?? "" }
  private var stage: FilePath {
    let normal = target.lexicallyNormalized()
    return normal.removingLastComponent().appending(".\(normal.lastComponent?.string ?? "").drydock-ranks")
  }
  private func place(_ rank: Int) -> FilePath { stage.appending("rank\(rank)") }

  func write(_ ranks: [EngineWriter.Rank], progress: ProgressCounter?) async throws -> RefitSummary {
    var summary = RefitSummary()
    if isDone {
      // An earlier run of this very job finished it, and may have died while it tidied up.
      if let leftover = try? OutputDirectory.begin(target, as: .engine, notOverlapping: [refitter.engine.path] + inputs, replaceable: refitter.engine.path) {
        leftover.abandon()
      }
      OutputDirectory.discardShares(stage, mark: Self.shareName)
      return summary
    }
    for rank in ranks {
      if try digest(rank.plan.rank) == nil { OutputDirectory.discardShare(place(rank.plan.rank), mark: Self.shareName) }
      let output = try OutputDirectory.begin(place(rank.plan.rank), as: .engine, notOverlapping: [refitter.engine.path] + inputs)
      do {
        try output.copyFile(from: refitter.engine.path.appending("config.json"), name: "config.json")
        let (written, digests) = try await refitter.writeRanks([rank], to: output, progress: progress)
        if refitter.options.verifies { summary.verifiedCount += try await refitter.verify([rank], digests, in: output.path) }
        summary.weights += written.weights
        let share: JSONValue = ["job": .string(job), "digests": .array(digests.map(\.json))]
        try output.write(Self.shareName, text: share.serialized(indent: 2) + "\n")
        try output.commit()
      } catch {
        output.abandon()
        throw error
      }
    }
    summary.pendingRanks = try await joinWhenComplete()
    return summary
  }

  /// Whether the target is the result of this very job. In place, the job named the engine as it was before, so there
  /// the request alone tells.
  private var isDone: Bool {
    guard let finished = try? Lineage(directory: target), let job = finished.job else { return false }
    guard job == self.job || (isInPlace && job.hasPrefix(request)) else { return false }
    return (try? EngineDirectory(target)) != nil
  }
  private var request: String { String(job.prefix { $0 != "." }) + "." }
  private var isInPlace: Bool { refitter.engine.isOwn(target) }

  /// The digests of a rank's share, or nil where it has none of this job.
  private func digest(_ rank: Int) throws -> RankDigest? {
    let bytes: [UInt8]
    do throws(FileError) { bytes = try ReadableFile.contents(of: place(rank).appending(Self.shareName)) } catch {
      if case .system(_, .noSuchFileOrDirectory) = error.problem { return nil }
      throw error  // a share that cannot be read is not one that is missing
    }
    guard let json = try? JSONValue(parsing: bytes), json["job"]?.string == job, let digest = json["digests"]?.array?.first
    else { return nil }
    return RankDigest(json: digest)
  }
  private func pending() throws -> [Int] { try refitter.engine.ranks.indices.filter { try digest($0) == nil } }

  /// - Returns: Ranks that are not there yet; none where the target is complete, whoever completed it.
  private func joinWhenComplete() async throws -> [Int] {
    while true {
      let missing = try pending()
      if !missing.isEmpty {
        guard isDone else { return missing }
        // Another process joined the ranks, perhaps so soon that this one still held its share when they were cleared away.
        OutputDirectory.discardShares(stage, mark: Self.shareName)
        return []
      }
      let output: OutputDirectory
      do throws(FileError) {
        output = try refitter.begin(target, inputs: inputs, companions)
      } catch {
        guard error.problem == .locked else { throw error }
        // Another process is joining them, or checks whether it has to. If it dies, the work is ours.
        try await Task.sleep(for: .milliseconds(20))
        continue
      }
      do {
        guard try pending().isEmpty else {
          output.abandon()
          continue
        }
        if refitter.engine.isReplaced(by: target) {
          guard isDone else { throw EngineError(refitter.engine.path, .replaced) }
          output.abandon()
          OutputDirectory.discardShares(stage, mark: Self.shareName)
          return []
        }
        var lineage = lineage
        for rank in refitter.engine.ranks.indices {
          guard let digest = try digest(rank) else { throw FileError(place(rank), .refused(reason: "went away while it was needed.")) }
          let name = EngineDirectory.fileName(rank: rank)
          try output.adopt(place(rank).appending(name), name: name)
          lineage.ranks.append(digest)
        }
        try companions.write(to: output, engine: refitter.engine)
        guard refitter.engine.isInPlace else { throw EngineError(refitter.engine.path, .replaced) }
        try output.write(Lineage.fileName, text: lineage.json.serialized(indent: 2) + "\n")
        try output.commit()
      } catch {
        output.abandon()
        throw error
      }
      OutputDirectory.discardShares(stage, mark: Self.shareName)
      return []
    }
  }
}
