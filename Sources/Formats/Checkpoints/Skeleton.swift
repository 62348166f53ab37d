public import JSON
import Safetensors
import SystemPackage
import Tensors

/// A pruned checkpoint that records what it was made from, and so can say whether a checkpoint is that one.
public struct Skeleton: Sendable {
  /// The pruned checkpoint itself.
  public let checkpoint: CheckpointDirectory
  let notes: [SkeletonNotes]

  /// - Throws: ``CheckpointError`` where rank files have no records, or damaged ones.
  public init(_ checkpoint: CheckpointDirectory) throws(CheckpointError) {
    self.checkpoint = checkpoint
    var notes: [SkeletonNotes] = []
    for rank in checkpoint.ranks {
      guard let found = try SkeletonNotes(rank) else {
        throw CheckpointError(
          rank.path, .refused(reason: "not a skeleton: it records nothing of its original. Make one with trtllm-prune --skeleton."))
      }
      notes.append(found)
    }
    self.notes = notes
  }

  /// Whether every tensor's digest is recorded, so that values that are gone can be proved, too.
  public var hasDigests: Bool { notes.allSatisfy { $0.digests != nil } }

  /// A way in which another checkpoint is not the original.
  public struct Difference: Sendable, Hashable, CustomStringConvertible {
    /// `config.json` or a rank file.
    public let file: String
    /// A tensor or a field; nil for the file as a whole.
    public let name: String?
    /// A clause without a full stop: `missing`, `other values`, `F16 [4, 8] instead of BF16 [4, 8]`.
    public let reason: String
    public var description: String { file + (name.map { ": \($0)" } ?? "") + ": " + reason }

    /// `file`, `name` (null for the file as a whole) and `reason`.
    public var json: JSONValue {
      ["file": .string(file), "name": name.map { .string($0) } ?? .null, "reason": .string(reason)]
    }
  }

  /// Everything that can be seen without reading values: fields of the configuration, names, types, shapes.
  public func structuralDifferences(from full: CheckpointDirectory) -> [Difference] {
    var differences = configDifferences(from: full)
    guard full.ranks.count == checkpoint.ranks.count else {
      let reason = "\(full.ranks.count) rank files instead of \(checkpoint.ranks.count)"
      return differences + [Difference(file: "config.json", name: "mapping", reason: reason)]
    }
    for (index, other) in full.ranks.enumerated() {
      let file = CheckpointDirectory.rankName(index)
      func note(_ name: String, _ reason: String) { differences.append(Difference(file: file, name: name, reason: reason)) }
      let wanted = notes[index].originalTensors(of: checkpoint.ranks[index].header)
      let names = Set(wanted.map(\.0))
      for (name, description) in wanted {
        guard let found = other.header[name]?.description else {
          note(name, "missing")
          continue
        }
        if found != description { note(name, "\(found) instead of \(description)") }
      }
      for name in other.names where !names.contains(name) { note(name, "not in the original") }
    }
    return differences
  }

  private func configDifferences(from full: CheckpointDirectory) -> [Difference] {
    var mine = Self.withoutMark(checkpoint.json)
    var theirs = Self.withoutMark(full.json)
    // The name of a directory does not make another checkpoint.
    mine.removeValue(forKey: ModelNames.section)
    theirs.removeValue(forKey: ModelNames.section)
    var differences: [Difference] = []
    func note(_ key: String, _ reason: String) {
      differences.append(Difference(file: "config.json", name: key, reason: reason))
    }
    for (key, value) in mine {
      guard let other = theirs[key] else {
        note(key, "missing")
        continue
      }
      if other != value { note(key, "\(other.serialized()) instead of \(value.serialized())") }
    }
    for key in theirs.keys where mine[key] == nil { note(key, "not in the original") }
    return differences
  }

  static func withoutMark(_ json: JSONValue) -> JSONObject {
    var members = json.object ?? [:]
    members.removeValue(forKey: "is_pruned")
    return members
  }
}
