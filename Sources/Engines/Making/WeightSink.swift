import Threads

/// Where weights go: files of an engine, memory beside one that runs, a device.
protocol WeightSink: Sendable {
  /// Makes by itself what it can.
  ///
  /// - Returns: For each job what became of it; nil where the processor is to make it.
  func makeItself(_ jobs: [WeightJob], workers: Int, progress: ProgressCounter?) async throws -> [MadeWeight?]

  /// A place for the bytes of one weight.
  ///
  /// - Parameter maker: Of the thread that will write; in use between two writes.
  func begin(_ job: WeightJob, _ maker: WeightMaker) throws -> any OpenWeight
}

extension WeightSink {
  func makeItself(_ jobs: [WeightJob], workers: Int, progress: ProgressCounter?) async throws -> [MadeWeight?] { jobs.map { _ in nil } }
}

/// A weight on its way into a sink; used by one thread.
protocol OpenWeight {
  /// Takes the next rows as they are stored (panels, or rows of dimension 0) and their bytes, from the first to the last.
  mutating func write(_ rows: Range<Int>, _ bytes: UnsafeRawBufferPointer) throws
  /// Called once, after the last rows.
  ///
  /// - Parameter digest: Of all bytes, in hexadecimal; empty where none is made.
  mutating func seal(digest: String) throws -> SealedWeight
}

/// What a sink says of a weight that it has.
struct SealedWeight {
  var fate: WrittenWeight.Fate
  /// How far it moved, where that was asked for.
  var movement: WeightMovement?
}

/// A weight that has its bytes.
struct MadeWeight: Sendable {
  /// In hexadecimal; empty where none is made.
  var digest: String
  var written: WrittenWeight
}

/// Keeps nothing: for digests of bytes that pass by, and for counts.
struct NoSink: WeightSink {
  func begin(_ job: WeightJob, _ maker: WeightMaker) -> any OpenWeight { KeptWeight() }
}

/// A weight whose place has its bytes already.
struct KeptWeight: OpenWeight {
  func write(_ rows: Range<Int>, _ bytes: UnsafeRawBufferPointer) {}
  func seal(digest: String) -> SealedWeight { SealedWeight(fate: .kept) }
}
