import Digests
import Threads

/// A weight that passes by in tiles, and whose digest is wanted.
protocol DigestedJob {
  /// The next bytes, valid until the next call; nil where there are no more.
  mutating func next() throws -> UnsafeRawBufferPointer?
  /// Called once, after the last tile.
  ///
  /// - Parameter digest: Of all tiles, in hexadecimal.
  func finish(digest: String) throws
}

extension Jobs {
  /// Like ``run(_:workers:makeWorker:_:)``, for jobs whose tiles are hashed.
  ///
  /// - Parameters:
  ///   - kind: Of the digest.
  ///   - begin: Starts a job with scratch memory that no other job uses meanwhile; nil where it needs no tiles and is done
  ///     already.
  static func runDigested<Job: Sendable>(
    _ jobs: [(cost: Int, job: Job)], workers: Int, kind: DigestKind = .tree,
    begin: @escaping @Sendable (WeightMaker, Job) throws -> (any DigestedJob)?
  ) async throws {
    try await share(jobs, workers: workers, makeWorker: { WeightMaker() }) { maker, take in
      while let next = take() {
        try Task.checkCancellation()
        guard var job = try begin(maker, next) else { continue }
        var (tree, plain) = (TreeHash(), SHA256())
        while let bytes = unsafe try job.next() {
          switch kind {
          case .tree: unsafe tree.update(bytes)
          case .plain: unsafe plain.update(bytes)
          }
        }
        try job.finish(digest: (kind == .tree ? tree.finalize() : plain.finalize()).hexadecimal)
      }
    }
  }
}

/// How the digest of a weight is made.
public enum DigestKind: String, Sendable {
  /// A tree over leaves of 64 KiB: SHA-256 of at most a leaf, and the digest of the leaves' SHA-256 of more.
  case tree = "sha256-tree-64KiB"
  /// SHA-256 of all bytes: in lineages of format 1.
  case plain = "sha256"
}
