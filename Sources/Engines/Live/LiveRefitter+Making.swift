import Files
import Synchronization
import Threads
import WeightSources

/// A weight that the processor is to make.
struct LiveJob: Sendable {
  let rank: Int
  let name: String
  let program: RecipeProgram
  let byteCount: Int
}

extension LiveRefitter {
  /// Makes weights on a device.
  func make(
    _ orders: [WeightOrder], on device: any WeightDevice, _ making: Making, _ table: DigestTable, _ made: MadeTable, _ nonFinite: WrittenWeights
  ) async throws {
    guard !orders.isEmpty else { return }
    let flag = CancellationFlag()
    let results = try await withTaskCancellationHandler {
      try device.make(orders, workers: making.workers, progress: making.progress) { flag.isSet }
    } onCancel: {
      flag.set()
    }
    try Task.checkCancellation()
    // Equal digests say it is the engine's own; its bytes decide, because a lineage may be of another file.
    let known = zip(orders, results).filter { order, result in digests[0].weights[order.name] == result.digest }.map(\.0.name)
    let held = known.isEmpty ? [:] : Dictionary(zip(known, try device.digests(ofFileWeights: known)), uniquingKeysWith: { $1 })
    for (order, result) in zip(orders, results) {
      if result.nonFiniteCount > 0 { nonFinite.add(written(rank: 0, order.name, nonFiniteCount: result.nonFiniteCount)) }
      table.set(rank: 0, name: order.name, result.digest)
      if held[order.name] == result.digest {
        made.countUnchanged(rank: 0, name: order.name)
      } else {
        made.set(rank: 0, name: order.name, WeightMemory(on: result.weight))
      }
    }
  }

  /// Makes weights in host memory.
  func make(
    _ jobs: [(cost: Int, job: LiveJob)], from source: RefitSource, _ making: Making, _ table: DigestTable, _ made: MadeTable,
    _ nonFinite: WrittenWeights
  ) async throws {
    let wanted = jobs.reduce(0) { $0 + $1.cost }
    let (engine, file) = (engine, digests)
    try await Jobs.runDigested(jobs, workers: making.workers) { maker, job in
      let memory: WeightMemory
      do { memory = try WeightMemory(byteCount: job.byteCount) } catch {
        // Of this weight alone; who asked wants to know what all of them need.
        throw LiveWeightsError.outOfMemory(wanted: wanted, available: Processors.availableMemory, deletable: [])
      }
      return LiveWeightMaking(
        maker: maker, program: job.program, source: source.weights, rank: engine.ranks[job.rank].plan.rank, memory: memory,
        progress: making.progress
      ) { digest, nonFiniteCount in
        if nonFiniteCount > 0 { nonFinite.add(written(rank: job.rank, job.name, nonFiniteCount: nonFiniteCount)) }
        table.set(rank: job.rank, name: job.name, digest)
        // As above.
        if file[job.rank].weights[job.name] == digest, try memory.equals(job.name, of: engine.ranks[job.rank]) {
          made.countUnchanged(rank: job.rank, name: job.name)
        } else {
          made.set(rank: job.rank, name: job.name, memory)
        }
      }
    }
  }

  private func written(rank: Int, _ name: String, nonFiniteCount: Int) -> WrittenWeight {
    WrittenWeight(rank: engine.ranks[rank].plan.rank, name: name, fate: .refitted, byteCount: 0, nonFiniteCount: nonFiniteCount)
  }
}

/// Says that a task was cancelled to threads that are none of its.
private final class CancellationFlag: Sendable {
  private let value = Atomic(false)
  var isSet: Bool { value.load(ordering: .relaxed) }
  func set() { value.store(true, ordering: .relaxed) }
}

/// A weight on its way into memory.
private struct LiveWeightMaking: DigestedJob {
  let maker: WeightMaker
  let program: RecipeProgram
  let source: any WeightSource
  let rank: Int
  let memory: WeightMemory
  let progress: ProgressCounter?
  let done: (_ digest: String, _ nonFiniteCount: Int) throws -> Void
  private var row = 0
  private var offset = 0
  private var nonFiniteCount = 0

  init(
    maker: WeightMaker, program: RecipeProgram, source: any WeightSource, rank: Int, memory: WeightMemory,
    progress: ProgressCounter?, done: @escaping (_ digest: String, _ nonFiniteCount: Int) throws -> Void
  ) {
    self.maker = maker
    self.program = program
    self.source = source
    self.rank = rank
    self.memory = memory
    self.progress = progress
    self.done = done
  }

  mutating func next() throws -> UnsafeRawBufferPointer? {
    try Task.checkCancellation()
    guard let bytes = unsafe try maker.next(program, from: source, rank: rank, row: &row)?.bytes else { return nil }
    unsafe nonFiniteCount += NonFinite.count(bytes, program)
    unsafe memory.write(bytes, at: offset)
    offset += bytes.count
    progress?.add(bytes.count)
    return unsafe bytes
  }

  func finish(digest: String) throws {
    precondition(offset == memory.byteCount, "a recipe fills its weight")
    try done(digest, nonFiniteCount)
  }
}

extension WeightMemory {
  /// Whether the engine's file holds the same bytes.
  fileprivate func equals(_ name: String, of file: EngineFile) throws -> Bool {
    guard let weight = file.plan.weights[name], file.contains(name) else { return false }
    var offset = 0
    var isEqual = true
    unsafe try WeightMaker().read(weight.stored, name, from: file) { held in
      let mine = unsafe UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + held.count])
      if isEqual, unsafe !sameBytes(mine, held) { isEqual = false }
      offset += held.count
    }
    return isEqual
  }
}
