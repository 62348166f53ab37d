public import JSON
public import Tensors

/// What pruning does, rank file by rank file.
public struct PruneReport: Sendable {
  /// A tensor that loses its values.
  public struct Tensor: Sendable {
    /// As in the file, before and after.
    public let name: String
    /// Before.
    public let description: TensorDescription
  }
  /// A rank file, before and after.
  public struct Rank: Sendable {
    /// Its name, such as `rank0.safetensors`.
    public let file: String
    /// All that it names, emptied or not.
    public let tensorCount: Int
    /// In the order of their data.
    public let emptied: [Tensor]
    /// Size of the file.
    public let bytesBefore: Int
    /// Size of the new file; with digests it is known once they have been taken.
    public internal(set) var bytesAfter: Int
    /// Of a skeleton with digests, once it has been made.
    public internal(set) var rootDigest: String?

    mutating func update(_ plan: PrunePlan) {
      bytesAfter = plan.byteCountAfter
      rootDigest = plan.notes?.root
    }
  }
  /// A rank file each, in order.
  public internal(set) var ranks: [Rank]
  /// What is odd about the input, a line each.
  public let warnings: [String]

  /// Of all rank files.
  public var bytesBefore: Int { ranks.reduce(0) { $0 + $1.bytesBefore } }
  /// Of all rank files.
  public var bytesAfter: Int { ranks.reduce(0) { $0 + $1.bytesAfter } }
  /// Of all rank files.
  public var emptiedCount: Int { ranks.reduce(0) { $0 + $1.emptied.count } }

  /// For programs: sizes in bytes, one entry for each rank file and emptied tensor.
  public var json: JSONObject {
    [
      "bytes_before": .int(bytesBefore), "bytes_after": .int(bytesAfter), "emptied": .int(emptiedCount),
      "ranks": .array(
        ranks.map { rank in
          var members: JSONObject = [
            "file": .string(rank.file), "tensors": .int(rank.tensorCount), "bytes_before": .int(rank.bytesBefore),
            "bytes_after": .int(rank.bytesAfter),
          ]
          members["root_sha256"] = rank.rootDigest.map { .string($0) }
          members["emptied"] = .array(
            rank.emptied.map { tensor in
              [
                "name": .string(tensor.name), "dtype": .string(tensor.description.elementType.rawValue),
                "shape": .ints(tensor.description.shape), "bytes": .int(tensor.description.byteCount),
              ]
            })
          return .object(members)
        }),
      "warnings": .strings(warnings),
    ]
  }

  /// Emptied tensors with layer and expert numbers taken out of their names: pattern, how many, their bytes.
  public var summary: [(pattern: String, count: Int, byteCount: Int)] {
    var order: [String] = []
    var sums: [String: (Int, Int)] = [:]
    for tensor in ranks.flatMap(\.emptied) {
      let pattern = tensor.name.split(separator: ".", omittingEmptySubsequences: false)
        .map { !$0.isEmpty && $0.allSatisfy(\.isNumber) ? "*" : String($0) }.joined(separator: ".")
      if sums[pattern] == nil { order.append(pattern) }
      let (count, bytes) = sums[pattern] ?? (0, 0)
      sums[pattern] = (count + 1, bytes + tensor.description.byteCount)
    }
    return order.map { ($0, sums[$0]?.0 ?? 0, sums[$0]?.1 ?? 0) }
  }
}
