import Digests

/// A weight that passes by in tiles, and whose digest is wanted.
protocol DigestedJob {
  /// The next bytes, valid until the next call; nil where there are no more.
  mutating func next() throws -> UnsafeRawBufferPointer?
  /// Called once, after the last tile.
  ///
  /// - Parameter digest: SHA-256 of all tiles, in hexadecimal.
  func finish(digest: String) throws
}

extension Work {
  /// Like ``run(_:workers:makeWorker:_:)``, for jobs whose tiles are hashed. Each worker has two jobs in hand and hashes
  /// their tiles in step.
  ///
  /// - Parameter begin: Starts a job with scratch memory that no other job uses meanwhile; nil where it needs no tiles
  ///   and is done already.
  static func runDigested<Job: Sendable>(
    _ jobs: [(cost: Int, job: Job)], workers: Int, begin: @escaping @Sendable (WeightMaker, Job) throws -> (any DigestedJob)?
  ) async throws {
    try await share(jobs, workers: workers, makeWorker: { (Lane(), Lane()) }) { lanes, take in
      let (one, other) = lanes
      /// Whether there are bytes to hash; takes up further jobs as others end.
      func fill(_ lane: Lane) throws -> Bool {
        while true {
          if unsafe !lane.pending.isEmpty { return true }
          if try lane.advance() { continue }
          guard let job = take() else { return false }
          try Task.checkCancellation()
          lane.job = try begin(lane.maker, job)
        }
      }
      while true {
        switch (try fill(one), try fill(other)) {
        case (true, true):
          let count = unsafe min(one.pending.count, other.pending.count)
          let (a, b) = unsafe (one.consume(count), other.consume(count))
          unsafe SHA256.update(&one.digest, a, &other.digest, b)
        case (true, false): unsafe one.digest.update(one.consume(one.pending.count))
        case (false, true): unsafe other.digest.update(other.consume(other.pending.count))
        case (false, false): return
        }
      }
    }
  }
}

/// One of the two jobs that a worker has in hand.
@safe private final class Lane {
  let maker = WeightMaker()
  var job: (any DigestedJob)?
  var digest = SHA256()
  /// What was made and not hashed yet.
  private(set) var pending = unsafe UnsafeRawBufferPointer(start: nil, count: 0)

  /// Asks the job for its next tile; ends it where it has none.
  ///
  /// - Returns: Whether there was a job.
  func advance() throws -> Bool {
    guard job != nil else { return false }
    if let bytes = unsafe try job?.next() {
      unsafe pending = bytes
    } else {
      try job?.finish(digest: digest.finalize().hexadecimal)
      job = nil
      digest = SHA256()
    }
    return true
  }

  func consume(_ count: Int) -> UnsafeRawBufferPointer {
    defer { unsafe pending = UnsafeRawBufferPointer(rebasing: pending[count...]) }
    return unsafe UnsafeRawBufferPointer(rebasing: pending[..<count])
  }
}
