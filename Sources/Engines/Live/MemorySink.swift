import Files
import Synchronization
import WeightSources

/// Memory beside an engine that runs, whose weights it leaves alone.
final class MemorySink: WeightSink {
  private let engine: EngineDirectory
  /// Of the engine's files.
  private let digests: [RankDigest]
  /// What all weights need that will be made here, for errors.
  private let byteCount: Int
  private let made: Mutex<[[String: WeightMemory]]>

  /// - Parameter base: For each rank, what stands where nothing is made.
  init(_ engine: EngineDirectory, digests: [RankDigest], base: [[String: WeightMemory]], byteCount: Int) {
    (self.engine, self.digests, self.byteCount) = (engine, digests, byteCount)
    made = Mutex(base)
  }

  /// For each rank, the weights that differ from the engine file's.
  var ranks: [[String: WeightMemory]] { made.withLock { $0 } }

  func begin(_ job: WeightJob, _ maker: WeightMaker) throws -> any OpenWeight {
    let memory: WeightMemory
    do { memory = try WeightMemory(byteCount: job.stored.byteCount) } catch {
      // Of this weight alone; who asked wants to know what all of them need.
      throw LiveWeightsError.outOfMemory(wanted: byteCount, available: Processors.availableMemory, deletable: [])
    }
    return MemoryWeight(job: job, memory: memory, maker: maker, sink: self)
  }

  /// Whether the engine's file should hold the same bytes. Its bytes decide, because a lineage may be of another file.
  func isExpected(_ digest: String, _ job: WeightJob) -> Bool { digests[job.place].weights[job.name] == digest }

  /// - Parameter memory: nil: the weight came out as the engine's file has it.
  func set(_ memory: WeightMemory?, _ job: WeightJob) -> WrittenWeight.Fate {
    made.withLock { $0[job.place][job.name] = memory }
    return memory == nil ? .unchanged : .refitted
  }

  fileprivate func seal(_ memory: WeightMemory, _ job: WeightJob, _ maker: WeightMaker, digest: String) throws -> WrittenWeight.Fate {
    let isUnchanged = try isExpected(digest, job) && memory.equals(job, of: engine.ranks[job.place], maker)
    return set(isUnchanged ? nil : memory, job)
  }
}

private struct MemoryWeight: OpenWeight {
  let job: WeightJob
  let memory: WeightMemory
  let maker: WeightMaker
  let sink: MemorySink
  private var offset = 0

  init(job: WeightJob, memory: WeightMemory, maker: WeightMaker, sink: MemorySink) {
    (self.job, self.memory, self.maker, self.sink) = (job, memory, maker, sink)
  }

  mutating func write(_ rows: Range<Int>, _ bytes: UnsafeRawBufferPointer) {
    unsafe memory.write(bytes, at: offset)
    offset += bytes.count
  }

  func seal(digest: String) throws -> SealedWeight {
    precondition(offset == memory.byteCount, "a recipe fills its weight")
    return SealedWeight(fate: try sink.seal(memory, job, maker, digest: digest))
  }
}

extension WeightMemory {
  /// Whether the engine's file holds the same bytes.
  fileprivate func equals(_ job: WeightJob, of file: EngineFile, _ maker: WeightMaker) throws -> Bool {
    guard file.contains(job.name) else { return false }
    var (row, offset) = (0, 0)
    while let held = unsafe try maker.next(of: job.stored, job.name, from: file, row: &row) {
      guard unsafe sameBytes(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + held.count]), held) else { return false }
      offset += held.count
    }
    return true
  }
}
