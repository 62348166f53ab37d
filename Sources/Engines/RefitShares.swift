import Files
import JSON
import SystemPackage

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
      // An earlier run of this very job was finished by another process.
      OutputDirectory.discardShares(stage)
      return summary
    }
    for rank in ranks {
      let output = try OutputDirectory.begin(place(rank.plan.rank), notOverlapping: [refitter.engine.path] + inputs)
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

  private var isDone: Bool {
    guard let finished = try? Lineage(directory: target), finished.job == job else { return false }
    return (try? EngineDirectory(target)) != nil
  }

  private func digest(_ rank: Int) -> RankDigest? {
    guard let bytes = try? ReadableFile.contents(of: place(rank).appending(Self.shareName)),
      let json = try? JSONValue(parsing: bytes), json["job"]?.string == job, let digest = json["digests"]?.array?.first
    else { return nil }
    return RankDigest(json: digest)
  }
  private var pending: [Int] { refitter.engine.ranks.indices.filter { digest($0) == nil } }

  /// - Returns: Ranks that are not there yet; none where the target is complete, whoever completed it.
  private func joinWhenComplete() async throws -> [Int] {
    while true {
      let missing = pending
      if !missing.isEmpty { return isDone ? [] : missing }
      let output: OutputDirectory
      do throws(FileError) {
        output = try OutputDirectory.begin(target, notOverlapping: [refitter.engine.path] + inputs, inPlace: true)
      } catch {
        guard error.problem == .locked else { throw error }
        // Another process is joining them, or checks whether it has to. If it dies, the work is ours.
        try await Task.sleep(for: .milliseconds(20))
        continue
      }
      do {
        guard pending.isEmpty else {
          output.abandon()
          continue
        }
        var lineage = lineage
        for rank in refitter.engine.ranks.indices {
          guard let digest = digest(rank) else { throw FileError(place(rank), .refused(reason: "went away while it was needed.")) }
          let name = EngineDirectory.fileName(rank: rank)
          try output.adopt(place(rank).appending(name), name: name)
          lineage.ranks.append(digest)
        }
        try refitter.copyCompanions(to: output)
        try output.write(Lineage.fileName, text: lineage.json.serialized(indent: 2) + "\n")
        try output.commit()
      } catch {
        output.abandon()
        throw error
      }
      OutputDirectory.discardShares(stage)
      return []
    }
  }
}
