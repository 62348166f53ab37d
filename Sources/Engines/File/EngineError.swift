public import SystemPackage
import Tensors

/// An engine that cannot be read, built or refitted, with where and how to mend it.
public struct EngineError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What is wrong. A reason is a clause, or sentences that say how to mend it.
  public enum Problem: Equatable, Sendable {
    /// No `rank*.engine` where an engine directory was expected.
    case noEngine
    /// The first rank file of `config.json`'s mapping that is not there.
    case missingRank(Int, expected: Int)
    /// The file is neither ours nor one that another back end knows.
    case notAnEngine(reason: String)
    /// A file of TensorRT itself; the version as ` of version 10.7.0`.
    case tensorrtPlan(version: String)
    /// A plan that contradicts itself, its file, `config.json` or the other ranks.
    case invalidPlan(reason: String)
    /// Bytes of an artifact that are not those of the plan, by its name.
    case damagedArtifact(String)
    /// Weights that must be present are not.
    case stripped(missing: [String])
    /// What neither this version nor this machine can do, with what to do instead.
    case unsupported(reason: String)
    /// A `config.json` or another JSON file of ours that does not read as one.
    case invalidConfiguration(reason: String)
    /// What a build or refit takes its weights from cannot be used.
    case source(reason: String)
    /// Rank files that are not of the engine that `lineage.json` was written for.
    case strangers([String])
    /// Another run put another engine in place after this one was opened.
    case replaced
  }
  /// The file or directory that it is about.
  public let path: FilePath
  /// What is wrong there.
  public let problem: Problem
  /// - Parameter path: As messages show it; it need not exist.
  public init(_ path: FilePath, _ problem: Problem) {
    self.path = path
    self.problem = problem
  }

  public var description: String {
    switch problem {
    case .noEngine:
      "\(path.inMessage): no rank*.engine files here. Name a directory that trtllm-build or trtllm-refit has written."
    case .missingRank(let rank, let expected):
      "\(path.inMessage): rank\(rank).engine is missing; its config.json has \(expected) rank(s). Copy the whole engine directory."
    case .notAnEngine(let reason):
      "\(path.inMessage): not an engine file: \(reason.hasSuffix(".") ? String(reason.dropLast()) : reason). Build it with trtllm-build, or copy it again."
    case .tensorrtPlan(let version):
      "\(path.inMessage): this is an NVIDIA TensorRT plan\(version). There is no TensorRT back end yet; build an engine for this "
        + "machine from the checkpoint with trtllm-build."
    case .invalidPlan(let reason):
      "\(path.inMessage): the engine's plan cannot be trusted: \(reason). Build it again with trtllm-build."
    case .damagedArtifact(let name):
      "\(path.inMessage): \(name) holds other bytes than the engine's plan says, so the file is damaged. Copy the engine again, or build it again "
        + "with trtllm-build."
    case .stripped(let missing):
      "\(path.inMessage): the engine is stripped: \(missing.count) weight(s) are absent (\(NameSummary(missing, limit: 3))"
        + "). Fill it with trtllm-refit first."
    case .unsupported(let reason): "\(path.inMessage): \(reason)"
    case .invalidConfiguration(let reason): "\(path.inMessage): \(reason)"
    case .source(let reason): "\(path.inMessage): \(reason)"
    case .strangers(let files):
      "\(path.inMessage): \(NameSummary(files, limit: 6)) \(files.count == 1 ? "is" : "are") of another engine than lineage.json describes: "
        + "the directory mixes files of two engines. Copy the whole engine directory again."
    case .replaced:
      "\(path.inMessage): the engine was replaced while a refit of the one before it was prepared. Run again, on the engine that is there now."
    }
  }
}
