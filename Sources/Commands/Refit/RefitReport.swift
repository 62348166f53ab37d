import Engines
import JSON

/// What a refit has to say, for people and for programs.
struct RefitReport {
  var engine: String
  var output: String
  var source: String
  var phases: Phases
  var summary: RefitSummary
  var warnings: [String]
  var files: CompanionChanges
  /// Of the phase that makes and saves.
  var writing: Duration
  /// Bytes a second, where it was measured.
  var copyRate: Double?

  var rate: Double { Double(summary.byteCount) / max(1e-9, Format.seconds(writing)) }

  /// `12 weight(s) refitted, 3 unchanged, …`
  static func counts(_ summary: RefitSummary) -> String {
    "\(summary.count(.refitted)) weight(s) refitted, \(summary.count(.unchanged)) unchanged, \(summary.count(.filled)) filled, "
      + "\(summary.count(.kept)) kept, \(summary.ignored) ignored"
  }

  var line: String {
    var text =
      "refitted \(output): \(Self.counts(summary)), \(Format.bytes(summary.byteCount)) in \(Format.time(phases.total)) "
      + "(\(Format.rate(summary.byteCount, writing))"
    if let copyRate { text += ", \(Format.fixed(100 * rate / copyRate, 0))% of the copy rate there" }
    text += ")"
    if summary.verifiedCount > 0 { text += ", \(summary.verifiedCount) weight(s) verified" }
    if !summary.pendingRanks.isEmpty {
      text += "; the output appears when rank(s) " + summary.pendingRanks.map(String.init).joined(separator: ", ") + " are written, too, by other runs"
    }
    return text
  }

  var json: JSONValue {
    var members: JSONObject = [
      "status": .string(summary.pendingRanks.isEmpty ? "done" : "pending"), "engine": .string(engine), "output": .string(output),
      "source": .string(source),
      "phases": Self.json(phases),
      "weights": [
        "refitted": .int(summary.count(.refitted)), "unchanged": .int(summary.count(.unchanged)),
        "filled": .int(summary.count(.filled)), "kept": .int(summary.count(.kept)), "ignored": .int(summary.ignored),
        "verified": .int(summary.verifiedCount),
      ],
      "bytes": ["all": .int(summary.byteCount), "changed": .int(summary.changedByteCount)],
      "bytes_per_second": .double(rate.rounded()),
      "files": Self.json(files), "warnings": .strings(warnings), "pending_ranks": .ints(summary.pendingRanks),
    ]
    if let copyRate {
      members["copy_bytes_per_second"] = .double(copyRate.rounded())
      members["share_of_copy_rate"] = .double(rate / copyRate)
    }
    return .object(members)
  }

  static func json(_ phases: Phases) -> JSONValue {
    .array(phases.list.map { ["name": .string($0.name), "seconds": .double(Format.roundedSeconds($0.time))] })
  }

  static func json(_ files: CompanionChanges) -> JSONValue {
    [
      "summary": files.summary.map { .string($0) } ?? nil, "note": files.note.map { .string($0) } ?? nil,
      "replaced": .strings(files.replaced), "added": .strings(files.added), "removed": .strings(files.removed),
    ]
  }

  /// Anything that ended the command but a refusal.
  static func failure(_ error: any Error) -> JSONValue { ["status": "failed", "error": .string("\(error)")] }

  /// A refusal with all its reasons.
  static func refusal(_ error: RefitError) -> JSONValue {
    [
      "status": "refused",
      "problems": .array(
        error.problems.map {
          ["problem": .string($0.heading), "detail": .string($0.detail), "remedy": .string($0.remedy)]
        }),
    ]
  }
}
