import Synchronization
import Threads
import WeightSources

/// Brings weights to their bytes, whoever asks for them and wherever they go: each is made or read, hashed and handed on tile by tile.
struct WeightPipeline: Sendable {
  /// Threads, each with a ``WeightMaker``.
  var workers: Int
  var progress: ProgressCounter?
  /// Of the digests; nil: none are made.
  var digests: DigestKind? = .tree

  /// - Returns: What became of each job, in their order.
  /// - Throws: What the source or the sink throws; a `CancellationError` at the next tile after the task was cancelled.
  func run(_ jobs: [WeightJob], to sink: any WeightSink) async throws -> [MadeWeight] {
    let itself = try await sink.makeItself(jobs, workers: workers, progress: progress)
    let results = Mutex(itself)
    let rest = itself.indices.filter { itself[$0] == nil }.map { (jobs[$0].stored.byteCount, $0) }
    try await Jobs.run(rest, workers: workers, makeWorker: { WeightMaker() }) { maker, index in
      let made = try run(jobs[index], maker, to: sink)
      results.withLock { $0[index] = made }
    }
    return results.withLock { $0.compactMap(\.self) }
  }

  private func run(_ job: WeightJob, _ maker: WeightMaker, to sink: any WeightSink) throws -> MadeWeight {
    var open = try sink.begin(job, maker)
    var written = WrittenWeight(rank: job.rank, name: job.name, fate: .kept, byteCount: job.stored.byteCount)
    var hash = digests.map(WeightHash.init)
    var digest: String?
    if case .file(_, let known?) = job.origin {
      digest = known
      progress?.add(job.stored.byteCount)
    } else {
      var row = 0
      while true {
        try Task.checkCancellation()
        guard let tile = unsafe try next(job, maker, row: &row) else { break }
        if case .recipe(let program, _) = job.origin { unsafe written.nonFiniteCount += NonFinite.count(tile.bytes, program) }
        unsafe try open.write(tile.rows, tile.bytes)
        unsafe hash?.update(tile.bytes)
        progress?.add(tile.bytes.count)
      }
    }
    let result = digest ?? hash?.finalize() ?? ""
    let sealed = try open.seal(digest: result)
    (written.fate, written.movement) = (sealed.fate, sealed.movement)
    return MadeWeight(digest: result, written: written)
  }

  private func next(_ job: WeightJob, _ maker: WeightMaker, row: inout Int) throws -> (rows: Range<Int>, bytes: UnsafeRawBufferPointer)? {
    switch job.origin {
    case .recipe(let program, let source):
      guard let tile = unsafe try maker.next(program, from: source, rank: job.rank, row: &row) else { return nil }
      return unsafe (tile.storedRows, tile.bytes)
    case .file(let file, _):
      let first = row
      guard let bytes = unsafe try maker.next(of: job.stored, job.name, from: file, row: &row) else { return nil }
      return unsafe (first..<row, bytes)
    }
  }
}
